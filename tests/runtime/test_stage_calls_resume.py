"""What a run does that was begun before: it does only what is missing, and comes to the same tables."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from stages_for_tests import Recorder, doubled, learn, numbers, smaller, spoken

from attar.core.table import part_span, parts, read
from attar.engines.base import Spec
from attar.runtime.flow import recipe, trace
from attar.runtime.settings import Settings

FAKE = Spec("fake", "m")


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


def test_what_a_training_step_left_behind_is_cleared_before_it_starts_again(do, home):
    @recipe()
    def teach(flow, *, base):
        return {"model": flow(learn, flow(numbers, count=4), engine=base)}

    folder = do(teach, base=FAKE)["model"]
    (folder / "card.json").unlink()
    (folder / "model" / "half-written").write_text("x")
    do(teach, base=FAKE)
    assert [path.name for path in (folder / "model").iterdir()] == ["config.json"]


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


def test_kill_9_at_any_moment_then_the_same_tables_byte_for_byte(tmp_path):
    code = """
import sys; sys.path.insert(0, sys.argv[2])
from pathlib import Path
from stages_for_tests import recipe, numbers, say, double, slow
from attar.engines.base import Spec
from attar.runtime.flow import trace
from attar.runtime.home import Home
from attar.runtime.runner import run
from attar.runtime.settings import Settings
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
