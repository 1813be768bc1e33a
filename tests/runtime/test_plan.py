import polars as pl
from stages_for_tests import double, learn, numbers, say

from attar.core.table import COLUMNS
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.runtime.flow import recipe, trace
from attar.runtime.plan import plan
from attar.runtime.progress import Quiet
from attar.runtime.run_file import read_run_file
from attar.runtime.runner import run

FAKE = Spec("fake", "m")


@recipe()
def taught(flow, *, base, count=1000):
    source = flow(numbers, count=count)
    model = flow(learn, source, engine=base)
    return {"out": flow(double, flow(say, source, engine=model)), "plain": flow(say, source, engine=base)}


def test_calls_and_tokens_are_near_what_the_run_then_used(run_file, home):
    file = read_run_file(run_file().with_name("try.yaml"))
    before = {estimate.step.name: estimate for estimate in plan(file.trace(), home)}
    run(file.trace(), home, Quiet())
    after = {estimate.step.name: estimate for estimate in plan(file.trace(), home)}
    for name in ("ask", "sample", "score"):
        assert before[name].calls == after[name].calls == 60
    assert before["chosen"].rows == after["chosen"].rows == 10
    assert all(estimate.done for estimate in after.values())
    assert not any(estimate.done for estimate in before.values())


def test_tokens_are_scaled_up_from_the_probe(home):
    estimates = {estimate.step.name: estimate for estimate in plan(trace(taught, {"base": FAKE}, {}), home, probe=50)}
    direct = estimates["say-2"]
    assert direct.calls == 1000
    assert direct.tokens_in == 8000
    assert 5500 < direct.tokens_out < 9500  # 3 to 12 words a reply, 7.5 on average


def test_what_hangs_on_a_model_that_is_not_trained_yet_is_said_to_be_open(home):
    estimates = {estimate.step.name: estimate for estimate in plan(trace(taught, {"base": FAKE}, {}), home)}
    assert (estimates["say"].calls, estimates["say"].tokens_out, estimates["say"].seconds) == (1000, None, None)
    assert estimates["double"].rows == 1000


def test_the_probe_is_not_paid_twice(home):
    @recipe()
    def asks(flow, *, engine):
        return {"out": flow(say, flow(numbers, count=200), engine=engine)}

    steps = trace(asks, {"engine": FAKE}, {})
    plan(steps, home, probe=30)
    seen = {}

    class Cards(Quiet):
        def end(self, step, card, fresh):
            seen[step.name] = card

    run(steps, home, Cards())
    assert (seen["say"]["asked"], seen["say"]["recalled"]) == (170, 30)


@recipe()
def exam(flow, *, base, teacher, count=40):
    from attar.stages.synth import respond

    rows = flow(respond.sample, flow(talks, count=count), engine=teacher, name="taught")
    model = flow(learn, rows, engine=base)
    return {"out": flow(respond.sample, flow(talks, count=10, name="ask"), engine=model, n=3, name="sit")}


def talks(*, count):
    talk = [{"role": "user", "content": "Repeat these words: cat dog."}]
    messages = pl.Series([talk] * count, dtype=COLUMNS["messages"])
    return pl.DataFrame({"id": [f"t{i}" for i in range(count)], "messages": messages})


def test_behind_a_model_that_is_not_trained_yet_it_is_counted_as_if_it_wrote_like_its_teacher(home):
    base, teacher = Spec("local", "pocket:base"), Spec("fake", "m", {"replies": ["The answer is cat."]})
    told = {one.step.name: one for one in plan(trace(exam, {"base": base, "teacher": teacher}, {}), home)}
    engine = Local(base)
    read = len(engine.tokens(engine.template.render([{"role": "user", "content": "Repeat these words: cat dog."}], ask=True)))
    written = len(engine.tokens("The answer is cat."))
    assert (told["sit"].calls, told["sit"].rows) == (30, 30)
    assert (told["sit"].tokens_in, told["sit"].tokens_out) == (30 * read, 30 * written)


def test_the_probe_is_taken_from_all_over_a_source():
    from attar.runtime.plan import _evenly_spaced

    assert _evenly_spaced(numbers(count=100), 4)["n"].to_list() == [0, 25, 50, 75]
    assert _evenly_spaced(numbers(count=3), 4)["n"].to_list() == [0, 1, 2]
