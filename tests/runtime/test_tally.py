from collections import Counter

import pytest
from stages_for_tests import doubled, spoken

from attar.core.errors import ReplyError
from attar.core.table import read
from attar.engines.base import Spec
from attar.engines.meter import Usage
from attar.runtime.executor import SpanResult
from attar.runtime.flow import recipe, trace
from attar.runtime.settings import Settings
from attar.runtime.tally import FailureLimits, Tally, failure_limits, make_card
from attar.stages.synth.pocket_data import questions
from attar.stages.synth.respond import sample

FAKE = Spec("fake", "m")


def result(rows, **errors):
    reasons = Counter({name.replace("_", " "): count for name, count in errors.items()})
    return SpanResult(0, rows, rows, reasons.total(), errors=reasons)


def test_truncated_rows_have_a_limit_of_their_own():
    limits = FailureLimits(failed=0.2, truncated=0.5, tokens=" (max_tokens: 384)")
    Tally(limits).accept(result(100, cut_off=50, fault=20))
    message = r"^51 of 100 rows were cut off at their token limit \(max_tokens: 384\), more than the 50% allowed.*max_truncated"
    with pytest.raises(ReplyError, match=message):
        Tally(limits).accept(result(100, cut_off=51))
    with pytest.raises(ReplyError, match=r"^21 of 100 rows failed, more than the 20% allowed: fault \(21\).*max_failures"):
        Tally(limits).accept(result(100, cut_off=50, fault=21))


def test_a_stage_may_put_words_of_its_own_before_cut_off():
    with pytest.raises(ReplyError, match=r"^60 of 100 rows were cut off"):
        Tally(FailureLimits(0.2, 0.5)).accept(SpanResult(0, 100, 100, 60, errors=Counter({"game 1: cut off": 60})))


def test_the_limits_are_checked_over_all_rows_so_far_and_from_20_on():
    tally = Tally(FailureLimits(failed=0.2))
    tally.accept(result(19, fault=19))
    with pytest.raises(ReplyError, match=r"^19 of 20 rows failed"):
        tally.accept(result(1))


@recipe()
def answered(flow, *, engine):
    asked = flow(questions, count=30)
    return {"out": flow(sample, asked, engine=engine, max_tokens=48)}


def test_a_step_whose_answers_are_cut_off_stops_and_names_its_knob_and_the_limit(do):
    engine = Spec("fake", "m", {"cut": 0.9})
    with pytest.raises(ReplyError, match=r"of 30 rows were cut off at their token limit \(max_tokens: 48\).*max_truncated"):
        do(answered, engine=engine)
    assert read(do(answered, settings=Settings(max_truncated=1.0), engine=engine)["out"])["response"].null_count() > 15


def test_a_step_without_a_token_limit_names_none():
    assert failure_limits(trace(spoken, {"engine": FAKE}, {}).results["out"], 0.2, 0.5).tokens == ""


def test_a_card_has_the_counts_of_its_step_and_its_engine_and_no_cost_without_a_price():
    step = trace(spoken, {"engine": FAKE}, {"count": 3}).results["out"]
    tally = Tally(rows=2)
    tally.accept(SpanResult(2, 5, rows=3, failed=2, transient=1, errors=Counter({"fault": 2})))
    card = make_card(step, tally, 1.234, spec=FAKE, now=Usage(asked=4, recalled=1, tokens_in=40), spent=Usage(asked=9))
    assert (card["rows"], card["failed"], card["transient"], card["errors"]) == (5, 2, 1, {"fault": 2})
    assert (card["asked"], card["recalled"], card["tokens_in"], card["tokens_out"]) == (4, 1, 40, 0)
    assert card["engine"] == {"kind": "fake", "model": "m", "options": {}}
    assert card["inputs"] == [step.inputs[0].folder]
    assert (card["seconds"], card["cost"], card["spent"]["asked"]) == (1.23, None, 9)


def test_a_card_of_a_step_that_asked_nothing_has_counts_of_zero():
    card = make_card(trace(doubled, {}, {}).steps[0], Tally(rows=7), 0.0)
    assert (card["rows"], card["failed"], card["engine"], card["asked"], card["cost"], card["spent"]) == (
        7,
        0,
        None,
        0,
        None,
        {},
    )
