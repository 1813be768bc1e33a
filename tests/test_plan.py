from stages_for_tests import double, learn, numbers, say

from attar.engines.base import Spec
from attar.flow import recipe, trace
from attar.plan import plan
from attar.run import run
from attar.runfile import read_run_file
from attar.watch import Quiet

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
