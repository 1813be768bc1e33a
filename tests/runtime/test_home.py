import json
import random
import signal
import sqlite3
import subprocess
import sys

import polars as pl
import pytest
from stages_for_tests import doubled

from attar.core.errors import DataError, EngineError
from attar.core.table import parts, write_part
from attar.engines.journal import Journal
from attar.engines.journal_file import FORMAT as JOURNAL_FORMAT
from attar.runtime.home import (
    FORMAT,
    Home,
    collect_garbage,
    lock_step,
    read_card,
    read_json,
    record_with_marks,
    run_record,
    write_card,
    write_json,
)


def test_a_home_says_its_format_once_it_is_written(home, do):
    do(doubled, count=3)
    assert read_json(home.root / "home.json") == {"format": FORMAT}


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


CARD = {
    "stage": "synth.respond.sample",
    "rows": 1000,
    "errors": {"cut off": 2, "kühl \x1f": 1},
    "cost": 1e-05,
    "knobs": {"names": ["a", "b"], "more": {}},
    "engine": None,
    "made": "2025-01-01T00:00:00Z",
}


def test_a_flipped_bit_anywhere_in_a_card_is_damage_and_never_another_value(tmp_path):
    write_json(file := tmp_path / "card.json", CARD)
    whole = file.read_bytes()
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"^{file} is damaged [^\n]*: remove it and run again[^\n]*$"):
            read_card(tmp_path)
    file.write_bytes(whole)
    assert read_card(tmp_path) == CARD


def test_several_faults_in_a_record_are_damage_too(tmp_path):
    home, dice = Home(tmp_path), random.Random(0)
    write_json(file := home.runs / "a.json", {"name": "a", "steps": [], "results": {}})
    whole = file.read_bytes()
    for _ in range(100):
        damaged = bytearray(whole)
        start = dice.randrange(len(whole) - 4)
        damaged[start : start + 4] = bytes(byte ^ dice.randrange(1, 256) for byte in damaged[start : start + 4])
        file.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"{file} is damaged"):
            run_record(home, "a")


def test_a_record_that_is_cut_short_or_empty_or_longer_is_damaged(tmp_path):
    home = Home(tmp_path)
    write_json(file := home.runs / "a.json", {"name": "a", "steps": [], "results": {}})
    whole = file.read_bytes()
    for content in [*(whole[:length] for length in range(len(whole))), whole + b"\n", whole + whole]:
        file.write_bytes(content)
        with pytest.raises(DataError, match=rf"{file} is damaged"):
            run_record(home, "a")


def test_a_card_of_an_earlier_version_has_no_checksum_and_is_read(tmp_path):
    (tmp_path / "card.json").write_text(json.dumps(CARD, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert read_card(tmp_path) == CARD


@pytest.mark.parametrize("value", [{}, {"a": {}}, {"a": []}, {"a": {"b": "}"}}, {"checksum": "of something else", "a": 1}])
def test_any_object_is_read_back_as_it_was_written(tmp_path, value):
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


def test_a_step_that_lost_a_part_is_not_complete(tmp_path):
    for start in (0, 2):
        write_part(pl.DataFrame({"id": ["a", "b"]}), tmp_path, start, start + 2)
    card = write_card(tmp_path, {"rows": 4})
    assert read_card(tmp_path) == card == {"rows": 4, "parts": 2}
    parts(tmp_path)[1].unlink()
    assert read_card(tmp_path) is None


def test_a_lock_goes_with_the_process_that_held_it(home):
    code = f"""
import os, signal
from pathlib import Path
from attar.runtime.home import lock_step
with lock_step(Path({str(home.root / "s")!r}), print):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    said = []
    with lock_step(home.root / "s", said.append):
        pass
    assert said == []


def test_garbage_is_what_no_run_refers_to(home, do):
    do(doubled)
    assert collect_garbage(home, really=False) == []
    names = {name for name, _ in collect_garbage(home, really=True, grace=0)}
    assert {name.partition("-")[0] for name in names} == {"stages_for_tests.numbers", "stages_for_tests.double"}
    assert list(home.steps.iterdir()) == []


def test_a_collection_that_is_killed_leaves_each_step_whole_or_absent_and_the_next_one_ends_it(home, monkeypatch):
    for name in ("a.b-1", "a.b-2"):
        (home.steps / name / "model").mkdir(parents=True)
        (home.steps / name / "card.json").write_text("{}")

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("attar.runtime.home.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            collect_garbage(home, really=True, grace=0)
    assert list(home.steps.iterdir()) == []
    collect_garbage(home, really=True, grace=0)
    assert not (home.root / "trash").exists()
