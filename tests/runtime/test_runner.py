import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from stages_for_tests import double, doubled, even, learn, most, needs_absent, nothing, numbers, smaller, spoken, total

from attar.core.errors import DataError, RecipeError, ReplyError
from attar.core.table import part_span, parts, read
from attar.engines.base import Spec
from attar.runtime.flow import recipe, trace
from attar.runtime.home import collect_garbage, lock_step, read_card
from attar.runtime.progress import Quiet
from attar.runtime.runner import Settings, run
from attar.stages.synth.pocket_data import questions as asked
from attar.stages.synth.respond import sample

FAKE = Spec("fake", "m")


class Recorder(Quiet):
    def __init__(self):
        self.cards, self.fresh, self.said = {}, {}, []

    def end(self, step, card, fresh):
        self.cards[step.name], self.fresh[step.name] = card, fresh

    def say(self, text):
        self.said.append(text)


@pytest.mark.parametrize("shard", [1, 7, 1000])
def test_the_shard_size_does_not_show_in_the_rows(do, shard):
    out = read(do(spoken, settings=Settings(shard=shard), engine=FAKE, count=53)["out"])
    again = [f"n{i:05d}" for i in range(53)]
    assert out["id"].to_list() == again
    assert out["said"].null_count() == 0
    assert hashlib.sha256("|".join(out["said"]).encode()).hexdigest()[:8] == _expected_words(53)


def _expected_words(count):
    from attar.engines.base import Request
    from attar.engines.fake import Fake

    texts = [next(iter(Fake(FAKE).generate([Request(0, text=f"say {n}")]))).text for n in range(count)]
    return hashlib.sha256("|".join(map(str, texts)).encode()).hexdigest()[:8]


def test_a_rerun_does_nothing_and_asks_nothing(do):
    do(spoken, engine=FAKE)
    again = Recorder()
    do(spoken, watch=again, engine=FAKE)
    assert again.fresh == {"numbers": False, "say": False}


def test_a_step_that_lost_its_output_is_made_again_from_the_journal(do, home):
    out = do(spoken, engine=FAKE)["out"]
    before = read(out)
    (out / "card.json").unlink()
    for part in parts(out):
        part.unlink()
    again = Recorder()
    do(spoken, watch=again, engine=FAKE)
    assert (again.cards["say"]["asked"], again.cards["say"]["recalled"]) == (0, 100)
    assert read(out).equals(before)


def test_only_the_missing_rows_are_done_whatever_the_shard_size_was(do):
    out = do(doubled, settings=Settings(bulk=10))["out"]
    before = read(out)
    (out / "card.json").unlink()
    for part in parts(out)[3:5]:
        part.unlink()
    do(doubled, settings=Settings(bulk=4))
    assert read(out).equals(before)
    assert [part_span(path) for path in parts(out)][3:8] == [(30, 34), (34, 38), (38, 42), (42, 46), (46, 50)]


def test_a_table_without_rows_goes_all_the_way_through(do):
    out = do(doubled, count=0)["out"]
    assert read(out).columns == ["id", "n", "twice"]
    assert len(read(out)) == 0


def test_a_whole_table_stage_sees_only_the_columns_that_it_reads(do):
    @recipe()
    def wide(flow):
        return {"out": flow(total, flow(numbers, count=5, wide=True))}

    assert read(do(wide)["out"])["sum"].to_list() == [10]


def test_a_column_that_is_not_there_is_named_with_the_step(do):
    @recipe()
    def lacking(flow):
        return {"out": flow(needs_absent, flow(numbers, count=5))}

    with pytest.raises(DataError, match=r"step 'needs_absent'.*'absent' is missing; the table has: id, n"):
        do(lacking)


def test_a_failed_row_is_null_with_its_reason_and_stops_nobody(do):
    seen = Recorder()
    out = read(do(spoken, watch=seen, engine=Spec("fake", "m", {"faults": 0.1}), count=300)["out"])
    assert len(out) == 300
    assert 0 < out["said"].null_count() < 60
    assert out.filter(pl.col("said").is_null())["said_error"].unique().to_list() == ["fault on demand"]
    assert seen.cards["say"]["errors"] == {"fault on demand": out["said"].null_count()}


def test_a_step_stops_before_money_is_burnt(do, home):
    with pytest.raises(ReplyError, match=r"fault on demand \(\d+\).*max_failures"):
        do(spoken, settings=Settings(shard=20), engine=Spec("fake", "m", {"faults": 0.9}), count=5000)
    step = next(path for path in home.steps.iterdir() if "say" in path.name)
    assert read_card(step) is None
    assert parts(step) == []


def test_a_stage_that_folds_gets_each_input_part_by_part_and_only_what_it_reads(do):
    @recipe()
    def folded(flow):
        some = flow(double, flow(numbers, count=25))
        return {"out": flow(most, some, flow(double, flow(numbers, count=7)))}

    out = read(do(folded, settings=Settings(bulk=10))["out"])
    assert out["most"].to_list() == [24, 6]
    assert out["parts"].to_list() == [[10, 10, 5], [7]]
    assert out["columns"].to_list() == [["id", "n"]] * 2


def test_a_row_that_is_asked_n_things_counts_as_n_rows_of_a_part(do, home):
    @recipe()
    def often(flow):
        return {"out": flow(sample, flow(asked, count=10), engine=FAKE, n=5)}

    folder = do(often, settings=Settings(shard=10))["out"]
    assert [part_span(path) for path in parts(folder)] == [(i, i + 2) for i in range(0, 10, 2)]
    assert len(read(folder)) == 50


def test_a_training_on_the_same_rows_in_the_same_way_is_not_done_again(do, home):
    @recipe()
    def learned(flow, *, than, mark):
        return {"model": flow(learn, flow(smaller, flow(numbers, count=10), than=than), engine=FAKE, mark=mark)}

    first = do(learned, than=10, mark="a")["model"]
    (first / "model" / "config.json").write_text("as it was left")
    for than, mark, again in ((11, "a", False), (9, "a", True), (12, "b", True)):
        folder = do(learned, than=than, mark=mark)["model"]
        assert folder != first
        assert ((folder / "model" / "config.json").read_text() != "as it was left") is again
        assert read(folder)["loss"].to_list() == [0.5]


def test_a_model_that_a_step_trains_serves_the_next(do):
    @recipe()
    def train_then(flow, *, base):
        source = flow(numbers, count=4)
        return {"model": flow(learn, source, engine=base)}

    folder = do(train_then, base=FAKE)["model"]
    assert json.loads((folder / "model" / "config.json").read_text()) == {"mark": "m", "base": "m", "rows": 4}


def test_two_runs_of_one_step_do_not_collide(home, do):
    step = trace(doubled, {}, {}).results["out"]
    code = f"""
import sys, time; sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from attar.runtime.home import lock_step
with lock_step(Path({str(home.folder(step))!r}), print):
    print("held", flush=True); time.sleep(1.0)
"""
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    assert child.stdout.readline() == "held\n"
    seen, started = Recorder(), time.monotonic()
    do(doubled, watch=seen)
    assert time.monotonic() - started > 0.5
    assert seen.said == [f"another run (process {child.pid}) is on this step; waiting for it"]
    child.wait()


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


def test_kill_9_at_any_moment_then_the_same_tables_byte_for_byte(tmp_path):
    code = """
import sys; sys.path.insert(0, sys.argv[2])
from pathlib import Path
from stages_for_tests import recipe, numbers, say, double, slow
from attar.engines.base import Spec
from attar.runtime.flow import trace
from attar.runtime.home import Home
from attar.runtime.runner import Settings, run
from attar.stages.synth.pocket_data import questions as asked
from attar.stages.synth.respond import sample
from attar.runtime.progress import Quiet
@recipe()
def long(flow, *, engine):
    said = flow(say, flow(numbers, count=800), engine=engine)
    return {"out": flow(double, flow(slow, said, seconds=0.0003))}
steps = trace(long, {"engine": Spec("fake", "m", {"delay": 0.001})}, {})
out = run(steps, Home(Path(sys.argv[1])), Quiet(), Settings(shard=50, bulk=50))
print(out["out"])
"""

    def start(place):
        command = [sys.executable, "-c", code, str(tmp_path / place), str(Path(__file__).parents[1])]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    whole = start("whole")
    out, _ = whole.communicate()
    expected = read(Path(out.strip()))
    for delay in (0.3, 0.5, 0.7, 0.9, 1.1, 1.3):
        child = start("cut")
        time.sleep(delay)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    last = start("cut")
    out, _ = last.communicate()
    assert last.returncode == 0
    assert read(Path(out.strip())).equals(expected)
    assert [path.read_bytes() for path in parts(Path(out.strip()))] == [
        path.read_bytes() for path in parts(tmp_path / "whole" / Path(out.strip()).relative_to(tmp_path / "cut"))
    ]


def test_garbage_is_what_no_run_refers_to(home, do):
    do(doubled)
    assert collect_garbage(home, really=False) == []
    names = {name for name, _ in collect_garbage(home, really=True, grace=0)}
    assert {name.partition("-")[0] for name in names} == {"stages_for_tests.numbers", "stages_for_tests.double"}
    assert list(home.steps.iterdir()) == []


def test_verdicts_are_cut_at_the_same_rows_as_their_table(do):
    from attar.stages.select import keep

    @recipe()
    def halves(flow):
        source = flow(numbers, count=31)
        return {"out": flow(double, flow(keep.rows, source, flow(even, source)))}

    assert read(do(halves, settings=Settings(bulk=7))["out"])["n"].to_list() == list(range(0, 31, 2))


def test_run_returns_where_the_results_are(home):
    found = run(trace(doubled, {}, {"count": 3}), home, Quiet())
    assert read(found["out"])["twice"].to_list() == [0, 2, 4]


def test_what_a_training_step_left_behind_is_cleared_before_it_starts_again(do, home):
    @recipe()
    def teach(flow, *, base):
        return {"model": flow(learn, flow(numbers, count=4), engine=base)}

    folder = do(teach, base=FAKE)["model"]
    (folder / "card.json").unlink()
    (folder / "model" / "half-written").write_text("x")
    do(teach, base=FAKE)
    assert [path.name for path in (folder / "model").iterdir()] == ["config.json"]


def test_a_stage_that_returns_no_table_is_named(do):
    @recipe()
    def odd(flow):
        return {"out": flow(nothing, flow(numbers, count=5))}

    with pytest.raises(RecipeError, match=r"nothing returned NoneType: a stage returns a table"):
        do(odd)


@pytest.mark.parametrize("wrong", [{"shard": 0}, {"bulk": -1}, {"max_failures": 2.0}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(RecipeError, match="shard and bulk must be >= 1"):
        Settings(**wrong)
