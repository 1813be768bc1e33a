import json
import sqlite3

import pytest

from attar.core.errors import DataError, EngineError
from attar.engines.journal import FORMAT as JOURNAL_FORMAT
from attar.engines.journal import Journal
from attar.runtime.home import FORMAT, Home, read_card, record_with_marks, run_record, write_json


def test_a_home_says_its_format_once_it_is_written(home, do):
    from stages_for_tests import doubled

    do(doubled, count=3)
    assert json.loads((home.root / "home.json").read_text()) == {"format": FORMAT}


def test_a_home_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path):
    write_json(tmp_path / "home.json", {"format": FORMAT + 1})
    with pytest.raises(DataError, match=rf"newer Attar .home format {FORMAT + 1}, this one reads up to {FORMAT}"):
        Home(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["home.json"]


def test_a_home_from_before_formats_were_written_is_read_and_then_stamped(tmp_path):
    home = Home(tmp_path)
    home.stamp()
    assert json.loads((tmp_path / "home.json").read_text())["format"] == FORMAT
    write_json(tmp_path / "home.json", {"format": 1})
    Home(tmp_path).stamp()
    assert json.loads((tmp_path / "home.json").read_text())["format"] == FORMAT


@pytest.mark.parametrize("text", ["{", '{"format": "two"}'])
def test_a_damaged_stamp_is_named(tmp_path, text):
    (tmp_path / "home.json").write_text(text)
    with pytest.raises(DataError, match=r"home\.json is damaged"):
        Home(tmp_path)


def test_a_journal_has_its_format_and_one_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "journal.sqlite"
    Journal(path).close()
    base = sqlite3.connect(path)
    assert base.execute("PRAGMA user_version").fetchone() == (JOURNAL_FORMAT,)
    base.execute(f"PRAGMA user_version = {JOURNAL_FORMAT + 1}")
    base.close()
    with pytest.raises(EngineError, match="written by a newer Attar"):
        Journal(path)


def test_a_record_of_an_earlier_version_is_read_but_not_by_what_needs_the_stages_marks(tmp_path):
    home = Home(tmp_path)
    write_json(home.runs / "old.json", {"name": "old", "steps": [{"name": "a", "stage": "x.y", "folder": "f"}]})
    assert run_record(home, "old")["name"] == "old"
    with pytest.raises(DataError, match=r"recorded by an earlier Attar: .* attar resume old"):
        record_with_marks(home, "old")


def test_a_step_is_complete_when_its_card_is_there(tmp_path):
    assert read_card(tmp_path) is None
    write_json(tmp_path / "card.json", {"rows": 3})
    assert read_card(tmp_path) == {"rows": 3}
