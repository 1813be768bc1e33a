"""Damage to the journal is named, never read, and costs only what it held."""

import re
import sqlite3
from contextlib import closing
from random import Random

import pytest

from attar.core.errors import EngineError
from attar.engines.base import Reply, Request, Sampling, Spec
from attar.engines.fake import Fake
from attar.engines.journal import Journal, load_reply
from attar.engines.journal_file import FORMAT, repair
from attar.engines.journaling import Journaled
from attar.engines.meter import Usage

HOT = Sampling(temperature=1.0)
COUNT = 120


def asks(count):
    return [Request(i, text=f"say {i}", sampling=HOT, seed=i) for i in range(count)]


def key(number):
    return Random(number).randbytes(16)


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "journal.sqlite")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A closed journal of texts and vectors."""
    path = tmp_path_factory.mktemp("whole") / "journal.sqlite"
    opened = Journal(path)
    for number in range(COUNT):
        opened.keep(key(number), Reply(0, f"text {number}", "stop", tokens_out=number))
    opened.add_usage("run", "step", "engine", Usage(asked=COUNT, tokens_out=7140))
    opened.close()
    return path


def named(error, path):
    assert str(path) in str(error)
    assert "\n" not in str(error)
    return error


def read_all(path):
    """What each key gives: its text, None, or the error that names the file."""
    try:
        opened = Journal(path)
    except EngineError as error:
        return [named(error, path)] * COUNT, error
    results = []
    for number in range(COUNT):
        try:
            kept = opened.find([key(number)]).get(key(number))
            results.append(None if kept is None else load_reply(kept, 0))
        except EngineError as error:
            results.append(named(error, path))
    try:
        spent = opened.spent("run").get(("step", "engine"))
    except EngineError as error:
        spent = error
    opened.close()
    return results, spent


@pytest.mark.parametrize("seed", range(8))
def test_a_flipped_bit_gives_no_other_reply_and_a_repair_keeps_the_rest(whole, tmp_path, seed):
    dice = Random(seed)
    for number in range(12):
        path = tmp_path / f"{number}" / "journal.sqlite"
        path.parent.mkdir()
        data = bytearray(whole.read_bytes())
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.write_bytes(data)
        results, spent = read_all(path)
        for place, result in enumerate(results):
            right = Reply(0, f"text {place}", "stop", tokens_out=place)
            assert result is None or isinstance(result, EngineError) or result == right
        assert spent is None or isinstance(spent, EngineError) or (spent.asked, spent.tokens_out) == (COUNT, 7140)
        if any(isinstance(result, EngineError) for result in [*results, spent]) and "newer Attar" not in str(spent):
            assert repair(path).kept >= COUNT / 3, "a flip costs a page at most"
            after, spent = read_all(path)
            assert not any(isinstance(result, EngineError) for result in [*after, spent])


@pytest.mark.parametrize("size", [0, 1, 100, 5000])
def test_a_journal_that_was_cut_is_one_line_that_says_what_to_do(whole, tmp_path, size):
    path = tmp_path / "journal.sqlite"
    path.write_bytes(whole.read_bytes()[:size])
    results, _ = read_all(path)
    errors = {str(result) for result in results if isinstance(result, EngineError)}
    assert len(errors) == 1
    assert re.search(r"journal.sqlite is damaged \(.*\): run  attar journal --repair --home .*only lost ones", errors.pop())
    assert repair(path).aside.stat().st_size == size
    assert read_all(path)[0] == [None] * COUNT


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "j.sqlite").write_bytes(b"not a database, but long enough to look like a file" * 100)
    with pytest.raises(EngineError, match=r"j.sqlite is damaged .*not a database"):
        Journal(tmp_path / "j.sqlite")


def test_a_repair_drops_what_is_damaged_and_only_that_is_asked_again(tmp_path):
    path = tmp_path / "journal.sqlite"
    opened = Journal(path)
    list(Journaled(Fake(Spec("fake", "m")), opened).generate(asks(50)))
    opened.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as base:
        lost = base.execute("SELECT key FROM replies ORDER BY key LIMIT 3").fetchall()
        base.executemany("UPDATE replies SET reply = replace(reply, 'stop', 'stap') WHERE key = ?", lost)
    opened = Journal(path)
    with pytest.raises(EngineError, match="does not match its checksum"):
        list(Journaled(Fake(Spec("fake", "m")), opened).generate(asks(50)))
    with pytest.raises(EngineError, match="a run has it open"):
        repair(path)
    opened.close()
    found = repair(path)
    assert (found.kept, found.dropped) == (47, 3)
    assert found.aside.exists()
    opened = Journal(path)
    engine = Journaled(Fake(Spec("fake", "m")), opened)
    assert len(list(engine.generate(asks(50)))) == 50
    assert (engine.sent_count, engine.recalled_count) == (3, 47)
    opened.close()


def test_a_journal_of_an_earlier_format_opens_and_its_new_rows_have_checksums(tmp_path):
    path = tmp_path / "journal.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as base:
        base.execute("CREATE TABLE replies (key BLOB PRIMARY KEY, reply TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID")
        base.execute("INSERT INTO replies VALUES (?, ?, 0)", (key(0), '{"text":"old"}'))
    opened = Journal(path)
    assert load_reply(opened.find([key(0)])[key(0)], 0).text == "old"
    opened.keep(key(1), Reply(0, "new"))
    opened.close()
    with closing(sqlite3.connect(path)) as base:
        assert base.execute("PRAGMA user_version").fetchone()[0] == FORMAT
        sums = dict(base.execute("SELECT key, sum FROM replies").fetchall())
    assert sums[key(0)] is None
    assert sums[key(1)] is not None


def test_usage_whose_record_lost_its_last_columns_is_damage(tmp_path):
    """A flipped bit in a record's header can end the record early: what is missing reads as null, the checksum too."""
    path = tmp_path / "journal.sqlite"
    opened = Journal(path)
    opened.add_usage("run", "step", "fake m", Usage(asked=3))
    opened.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as base:
        columns = base.execute("PRAGMA table_info(spent)").fetchall()
        schema = base.execute("SELECT sql FROM sqlite_schema WHERE name = 'spent'").fetchone()[0]
        base.execute("PRAGMA writable_schema = ON")
        base.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'spent'", (schema.replace(" NOT NULL", ""),))
    with closing(sqlite3.connect(path, isolation_level=None)) as base:
        base.execute(f"UPDATE spent SET {columns[-2][1]} = NULL, sum = NULL")
    opened = Journal(path)
    with pytest.raises(EngineError, match="usage of a run does not match its checksum"):
        opened.stats()
    opened.close()


def test_usage_whose_run_is_no_longer_a_text_is_damage(tmp_path):
    """A flipped bit can make a text a blob of the same bytes, which no run's name equals: its usage would count as none."""
    opened = Journal(tmp_path / "journal.sqlite")
    opened.add_usage("run", "step", "fake m", Usage(asked=3))
    opened.commit()
    opened._base.execute("UPDATE spent SET run = CAST(run AS BLOB)")
    with pytest.raises(EngineError, match="usage of a run does not match its checksum"):
        opened.spent("run")
    opened.close()


@pytest.mark.parametrize("count", [10**30, 10**400, 2**63])
def test_no_number_of_tokens_stops_the_writer(journal, count):
    class Boasting(Fake):
        def generate(self, requests):
            return (Reply(request.index, "text", "stop", tokens_out=count) for request in requests)

    engine = Journaled(Boasting(Spec("fake", "m")), journal)
    list(engine.generate(asks(3)))
    journal.add_usage("run", "step", "fake m", engine.meter.now)
    journal._try_commit()
    assert (journal.trouble, journal.size()) == ("", 3)
    assert journal.spent("run")["step", "fake m"].tokens_out <= 2**53


def test_a_full_disk_is_named_and_what_was_under_way_is_kept(tmp_path):
    """The database may grow by nothing more; the reserve stands for the space that is given back."""
    journal = Journal(tmp_path / "j.sqlite")
    pages = journal._base.execute("PRAGMA page_count").fetchone()[0]
    journal._base.execute(f"PRAGMA max_page_count = {pages + 2}")
    for number in range(200):
        journal.keep(key(number), Reply(0, "text " * 100))
    journal._try_commit()
    assert journal.trouble == "database or disk is full"
    assert not (tmp_path / "j.reserve").exists()
    journal._base.execute("PRAGMA max_page_count = 100000")
    journal.close()
    again = Journal(tmp_path / "j.sqlite")
    assert again.size() == 200
    again.close()


def test_a_repair_makes_names_of_its_own_and_leaves_every_other_file(whole, tmp_path):
    path = tmp_path / "journal.sqlite"
    data = whole.read_bytes()
    path.write_bytes(bytes(4096) + data[4096:])  # no first page, so the repair makes a second file
    for end in (".partial", ".repaired", ".patched", ".damaged-1-wal", ".damaged-2"):
        (tmp_path / f"{path.name}{end}").write_text(end)
    found = repair(path)
    assert found.aside == tmp_path / f"{path.name}.damaged-3"
    assert found.kept >= COUNT / 3
    for end in (".partial", ".repaired", ".patched", ".damaged-1-wal", ".damaged-2"):
        assert (tmp_path / f"{path.name}{end}").read_text() == end
    assert {file.name.partition("sqlite")[2] for file in tmp_path.iterdir()} == {
        *("", ".partial", ".repaired", ".patched", ".damaged-1-wal", ".damaged-2", ".damaged-3")
    }
