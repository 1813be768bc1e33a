from math import log

import polars as pl
import pytest
from engines_for_tests import Scripted

from attar.core.table import COLUMNS
from attar.stages.annotate import safety


def test_a_guard_gives_the_probability_of_safe_and_sees_what_its_kind_wants_to_see():
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    rows = pl.DataFrame({"id": ["a"], "messages": pl.Series([talk], dtype=COLUMNS["messages"])})
    engine = Scripted(lambda _: [log(0.6), log(0.2)])
    out = safety.score(rows, engine=engine, guard="guard")
    assert out["safe"][0] == pytest.approx(0.75)
    assert [dict(turn) for turn in engine.asked[0].messages] == talk
    plain = safety.score(rows, engine=engine)
    assert plain["safe"][0] == pytest.approx(0.75)
    assert "[user]\nHi\n\n[assistant]\nHello." in engine.asked[1].messages[1]["content"]
    assert engine.asked[1].messages[0]["role"] == "system"


def test_what_the_guard_cannot_say_is_null_with_its_reason_and_an_empty_conversation_is_not_asked_about():
    talk = [{"role": "user", "content": "Hi"}]
    rows = pl.DataFrame({"id": list("abc"), "messages": pl.Series([talk, [], talk], dtype=COLUMNS["messages"])})
    replies = iter([ValueError("down"), [log(0.01), log(0.02)]])
    engine = Scripted(lambda _: next(replies))
    out = safety.score(rows, engine=engine, into="sure")
    assert out["sure"].to_list() == [None, None, None]
    assert out["sure_error"].to_list()[:2] == ["down", "nothing to judge"]
    assert out["sure_mass"][2] == pytest.approx(0.03)
    assert [request.labels for request in engine.asked] == [("safe", "unsafe")] * 2
