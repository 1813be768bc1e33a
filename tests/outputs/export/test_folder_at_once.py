"""One export folder, written by two processes and by one that is killed, beside files of others."""

from functools import partial

import pytest
from at_once_for_tests import kill_in, only_locked_out, put_foreign, run_together, snapshot, unchanged
from datasets_for_tests import make_run

from attar.outputs.export.folder import export


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with a run that has rows, and what each export of it must be."""
    place = tmp_path_factory.mktemp("run")
    home, _ = make_run(place)
    for form in ("trl", "llamafactory"):
        export(home, "try", form, place / form, "pocket:base")
    return home, {form: snapshot(place / form) for form in ("trl", "llamafactory")}


def test_two_at_once_give_whole_files_of_one_export_or_one_clear_line(made, tmp_path):
    home, expected = made
    foreign = put_foreign(tmp_path / "out")
    for results in run_together(*(partial(export, home, "try", form, tmp_path / "out", "pocket:base") for form in expected)):
        assert only_locked_out(results)
        found = snapshot(tmp_path / "out")
        assert any(expected[form].items() <= found.items() for form in expected)
    assert unchanged(foreign)


def test_an_export_that_was_killed_leaves_whole_files_and_the_same_command_works(made, tmp_path):
    home, expected = made
    call = partial(export, home, "try", "llamafactory", tmp_path / "out", "pocket:base")
    kill_in("attar.core.atomic.move_into_place", call, 3)
    whole = {path: data for path, data in snapshot(tmp_path / "out").items() if not path.name.endswith(".partial")}
    assert len(whole) == 2
    assert whole.items() <= expected["llamafactory"].items()
    call()
    assert snapshot(tmp_path / "out") == expected["llamafactory"]
