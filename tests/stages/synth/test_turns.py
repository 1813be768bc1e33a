import polars as pl
from engines_for_tests import Scripted

from attar.core.table import COLUMNS
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.stages.synth import respond, turns


def table(*talks):
    return pl.DataFrame({"id": [f"r{i}" for i in range(len(talks))], "messages": pl.Series(talks, dtype=COLUMNS["messages"])})


def said(*texts):
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)]


def test_the_next_user_turn_is_asked_for_with_the_history_and_the_steering_system_turn():
    engine = Scripted(lambda _: "And why?")
    out = turns.extend(table(said("Hi", "Hello.")), engine=engine, system="They go on.")
    assert engine.asked[0].text == (
        "<|im_start|>system\nThey go on.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\n"
    )
    assert out["messages"].to_list() == [said("Hi", "Hello.", "And why?")]
    assert out["prompt"].to_list() == ["And why?"]


def test_the_answer_to_a_follow_up_never_sees_the_steering_turn():
    engine = Scripted(lambda request: "So." if request.messages else "And why?")
    out = respond.sample(turns.extend(table(said("Hi", "Hello.")), engine=engine), engine=engine)
    assert [turn["role"] for turn in engine.asked[-1].messages] == ["user", "assistant", "user"]
    assert out["messages"].to_list() == [said("Hi", "Hello.", "And why?", "So.")]


def test_a_talk_that_does_not_end_with_an_answer_or_a_cut_off_turn_is_a_failure_of_its_row():
    engine = Scripted(lambda _: "And then ...")
    out = turns.extend(table(said("Hi"), said("Hi", "Hello.")), engine=engine)
    assert out["prompt_error"].to_list() == ["no answer to go on from", "cut off"]
    assert out["messages"].to_list() == [[], []]


def test_an_answer_can_be_taken_back_with_all_that_was_said_of_it():
    given = table(said("Hi", "Hello.")).with_columns(response=pl.lit("Hello."), reward=pl.lit(1.0), quality=pl.lit("good"))
    out = turns.reopen(given)
    assert out["messages"].to_list() == [said("Hi")]
    assert out.columns == ["id", "messages", "quality"]


def test_the_pocket_teacher_goes_on_with_a_conversation_of_its_own():
    teacher = Local(Spec("local", "pocket:teacher", {"dtype": "float64", "threads": 1}))
    talk = said("Repeat these words: cat dog.", "The answer is cat dog.")
    out = turns.extend(table(*[talk] * 20), engine=teacher, system=None, max_tokens=80, seed=3)
    assert out["prompt_error"].null_count() >= 16
    assert out["prompt"].n_unique() > 10
