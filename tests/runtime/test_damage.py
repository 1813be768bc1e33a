"""What a bad disk does to a run: the damaged file is named, and once it is removed only what it held is made again."""

import pytest
from stages_for_tests import doubled, numbers, spoken, total

from attar.core.errors import DataError
from attar.core.table import parts, read
from attar.engines.base import Spec
from attar.runtime.flow import recipe
from attar.runtime.home import read_card
from attar.runtime.progress import Quiet
from attar.runtime.settings import Settings

FAKE = Spec("fake", "m")


class Recorder(Quiet):
    def __init__(self):
        self.cards = {}

    def end(self, step, card, fresh):
        self.cards[step.name] = card


def test_a_damaged_part_is_named_and_once_removed_only_its_rows_are_made_again(do, home):
    out = do(spoken, settings=Settings(shard=10), engine=FAKE)["out"]
    before, times = read(out), {path.name: path.stat().st_mtime_ns for path in parts(out)}
    damaged = parts(out)[3]
    damaged.write_bytes(b"PAR1 and then rubbish PAR1")
    with pytest.raises(DataError, match=rf"{damaged.name} is damaged .*: remove this file and run again"):
        read(out)
    damaged.unlink()
    assert read_card(out) is None
    again = Recorder()
    do(spoken, again, Settings(shard=10), engine=FAKE)
    assert (again.cards["say"]["asked"], again.cards["say"]["recalled"]) == (0, 10)
    assert read(out).equals(before)
    after = {path.name: path.stat().st_mtime_ns for path in parts(out)}
    assert {name for name in times if after[name] != times[name]} == {damaged.name}


def test_a_damaged_part_of_an_unfinished_step_is_named_before_the_step_goes_on(do, home):
    out = do(doubled, settings=Settings(bulk=10))["out"]
    before = read(out)
    (out / "card.json").unlink()
    parts(out)[2].write_bytes(parts(out)[2].read_bytes()[:-1])
    with pytest.raises(DataError, match=rf"{parts(out)[2].name} is damaged"):
        do(doubled, settings=Settings(bulk=10))
    parts(out)[2].unlink()
    do(doubled, settings=Settings(bulk=10))
    assert read(out).equals(before)


def test_a_damaged_input_is_named_and_no_row_is_made_of_it(do, home):
    out = do(doubled)["out"]
    source = next(path for path in home.steps.iterdir() if "numbers" in path.name)
    (out / "card.json").unlink()
    parts(out)[0].unlink()
    parts(source)[0].write_bytes(b"")
    with pytest.raises(DataError, match=rf"{parts(source)[0].name} is damaged .*run again"):
        do(doubled)
    assert parts(out) == []


def test_a_damaged_card_is_named(do, home):
    out = do(doubled)["out"]
    (out / "card.json").write_text("{")
    with pytest.raises(DataError, match=r"card.json is damaged"):
        do(doubled)


def test_a_card_that_was_removed_is_made_again_and_no_part_with_it(do):
    out = do(doubled)["out"]
    before = [(path, path.stat().st_mtime_ns) for path in parts(out)]
    rows = read_card(out)["rows"]
    (out / "card.json").unlink()
    do(doubled)
    assert read_card(out)["rows"] == rows
    assert [(path, path.stat().st_mtime_ns) for path in parts(out)] == before


def test_a_step_over_a_whole_table_is_made_again_once_its_damaged_part_is_removed(do):
    @recipe()
    def summed(flow):
        return {"out": flow(total, flow(numbers, count=5))}

    out = do(summed)["out"]
    part = parts(out)[0]
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(DataError, match=f"{part.name} is damaged"):
        read(out)
    part.unlink()
    do(summed)
    assert read(out)["sum"].to_list() == [10]
