import os
import subprocess
from functools import partial
from pathlib import Path

import pytest
from at_once_for_tests import kill_in, snapshot

from attar.core.atomic import (
    clear_leftovers,
    keep_beside,
    move_into_place,
    replace_file,
    replace_folder,
    replace_text,
    write_beside,
)
from attar.core.errors import DataError


def test_a_file_appears_only_when_its_block_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "new" / "card.json"
    with replace_file(target) as file:
        file.write_text("{}")
        assert not target.exists()
    assert target.read_text() == "{}"
    assert list(target.parent.iterdir()) == [target]


def test_a_write_that_fails_leaves_the_earlier_file_and_no_partial_one(tmp_path: Path) -> None:
    target = tmp_path / "card.json"
    target.write_text("before")
    with pytest.raises(FileNotFoundError), replace_file(target) as file:
        file.write_text((tmp_path / "not-there").read_text())
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_moves_into_place_with_all_its_files(tmp_path: Path) -> None:
    target = tmp_path / "set"
    with write_beside(target) as file:
        (file / "data").mkdir(parents=True)
        (file / "data" / "train.jsonl").write_text("row")
        move_into_place(file, target)
    assert (target / "data" / "train.jsonl").read_text() == "row"
    assert not file.exists()


def check(folder: Path) -> None:
    """A folder may be replaced if it has a mark."""
    if folder.exists() and not (folder / "mark").exists():
        raise DataError(f"{folder} is not ours")


def fill(target: Path, *names: str) -> None:
    with replace_folder(target, check) as folder:
        for name in ("mark", *names):
            (folder / name).write_text(name)


def test_a_folder_replaces_one_of_ours_as_a_whole_and_no_other(tmp_path: Path) -> None:
    fill(tmp_path / "set", "old")
    fill(tmp_path / "set", "new")
    assert [sorted(path.name for path in (tmp_path / "set").iterdir()), len(list(tmp_path.iterdir()))] == [["mark", "new"], 1]
    (tmp_path / "set" / "mark").unlink()
    with pytest.raises(DataError, match="is not ours"):
        fill(tmp_path / "set", "newer")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["new"]


def test_a_folder_that_somebody_makes_while_ours_is_filled_stays(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not ours"), replace_folder(tmp_path / "set", check):
        replace_text(tmp_path / "set" / "thesis", "years")
    assert snapshot(tmp_path) == {Path("set"): None, Path("set/thesis"): b"years"}


def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "set", "old")
    before = snapshot(tmp_path)
    monkeypatch.setattr("attar.core.atomic.move_into_place", lambda partial, target: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        fill(tmp_path / "set", "new")
    assert snapshot(tmp_path) == before


def test_an_old_folder_of_a_writer_that_was_killed_between_two_renames_comes_back(tmp_path: Path) -> None:
    fill(tmp_path / "set", "old")
    before = snapshot(tmp_path)
    kill_in("attar.core.atomic.move_into_place", partial(fill, tmp_path / "set", "new"))
    assert not (tmp_path / "set").exists()
    clear_leftovers(tmp_path / "set")
    assert snapshot(tmp_path) == before


def test_only_leftovers_of_our_pattern_and_of_processes_that_have_ended_are_removed(tmp_path: Path) -> None:
    ended, token = subprocess.Popen(["true"]), "0123456789ab"
    ended.wait()
    ours = tmp_path / f"out.jsonl.{ended.pid}-{token}.partial"
    others = [
        f"out.jsonl.{os.getpid()}-{token}.partial",
        f"out.jsonl.{os.getppid()}-{token}.partial",
        f"out.jsonl.{ended.pid}-{token}.partial.txt",
        f"out.jsonl.{ended.pid}-{token[1:]}.partial",
        f"out.jsonl.{ended.pid}-{token}.half",
        f"more-out.jsonl.{ended.pid}-{token}.partial",
        f"out.{ended.pid}-{token}.partial",
        "out.jsonl.partial",
        "out.jsonl.before",
    ]
    for path in (ours, *(tmp_path / name for name in others)):
        path.write_text("row")
    clear_leftovers(tmp_path / "out.jsonl")
    assert {path.name for path in tmp_path.iterdir()} == set(others)


def test_a_file_keeps_its_mode_and_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "card.json").write_text("old")
    (tmp_path / "far" / "card.json").chmod(0o600)
    (tmp_path / "card.json").symlink_to("far/card.json")
    replace_text(tmp_path / "card.json", "new")
    assert (tmp_path / "far" / "card.json").read_text() == "new"
    assert (tmp_path / "far" / "card.json").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "card.json").is_symlink()


def test_a_name_that_is_taken_is_passed_over(tmp_path: Path) -> None:
    names = [tmp_path / name for name in ("a", "b", "c")]
    names[0].write_text("mine")
    for text, expected in (("one", "b"), ("one", "b"), ("two", "c"), ("mine", "a")):
        with write_beside(tmp_path / "x") as file:
            file.write_text(text)
            assert keep_beside(file, names).name == expected
    assert [name.read_text() for name in names] == ["mine", "one", "two"]
