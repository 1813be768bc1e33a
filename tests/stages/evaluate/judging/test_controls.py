import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.core.table import COLUMNS, turns
from attar.stages.evaluate.judging import controls


def answers(model, *responses, **more):
    """One model's answers to questions 0 and on."""
    places = range(len(responses))
    return pl.DataFrame(
        {
            "id": [f"{model}-{i}" for i in places],
            "question": [f"q{i}" for i in places],
            "prompt": [f"Ask {i}?" for i in places],
            "messages": pl.Series(
                [turns(("user", f"Ask {i}?"), ("assistant", responses[i])) for i in places], dtype=COLUMNS["messages"]
            ),
            "response": pl.Series(responses, dtype=pl.String),
            "model": [model] * len(responses),
            "level": ["hard"] * len(responses),
            **more,
        }
    )


A = answers("a", "aa", "a", None, "same")
B = answers("b", "b", "bbb", "b", "same", score=[1.0, 2.0, 3.0, 4.0])


def said(table):
    return table["response"].to_list()


def test_fixed_outputs_answer_every_question_alike_under_their_own_names():
    out = controls.null(pl.concat([A, B], how="diagonal"))
    assert out["model"].unique(maintain_order=True).to_list() == list(controls.FIXED)
    for name, text in controls.FIXED.items():
        assert said(out.filter(pl.col("model") == name)) == [text] * 4
    assert "" in controls.FIXED.values()
    assert said(controls.null(A, texts={"null-yes": "Yes."})) == ["Yes."] * 4


def test_the_longest_and_the_shortest_answer_of_each_question_are_picked_and_say_whose_they_are():
    longest, shortest = controls.longest(A, B), controls.shortest(A, B)
    assert (said(longest), longest["picked"].to_list()[:3]) == (["aa", "bbb", "b", "same"], ["a", "b", "b"])
    assert (said(shortest), shortest["picked"].to_list()[:3]) == (["b", "a", "b", "same"], ["b", "a", "b"])
    assert longest["id"].to_list() == ["q0/longest", "q1/longest", "q2/longest", "q3/longest"]
    assert set(longest["model"]) == {"longest"}


def test_what_is_known_of_a_question_rides_along_and_what_is_known_of_an_answer_does_not():
    for out in (controls.longest(A, B), controls.repeat(B), controls.another(A, B)):
        assert out["level"].to_list() == ["hard"] * 4
        assert out["prompt"].to_list() == A["prompt"].to_list()
        assert "score" not in out.columns


def test_the_conversation_ends_with_the_controls_answer():
    assert controls.repeat(A)["messages"].to_list()[0] == turns(("user", "Ask 0?"), ("assistant", "Ask 0?"))
    bare = A.with_columns(pl.col("messages").list.head(1))
    assert controls.longest(bare, B).row(2, named=True)["messages"] == turns(("user", "Ask 2?"), ("assistant", "b"))
    assert controls.longest(A).row(2, named=True)["messages"] == turns(("user", "Ask 2?"))


@given(st.integers(2, 9), st.integers(0, 99))
def test_each_question_gets_the_answer_of_another_and_each_answer_is_given_once(count, seed):
    out = controls.another(answers("a", *(f"of q{i}" for i in range(count))), seed=seed)
    assert sorted(said(out)) == sorted(f"of q{i}" for i in range(count))
    assert all(response != f"of {question}" for question, response in out.select("question", "response").iter_rows())


def test_draws_hang_on_the_seed_and_not_on_the_order_of_rows_or_tables():
    many = [answers(name, *(f"{name}{i}" for i in range(40))) for name in "abc"]
    turned = [table.reverse() for table in reversed(many)]
    for draw in (controls.random, controls.another, controls.longest):
        once = draw(*many, seed=3)
        assert draw(*turned, seed=3).sort("id").equals(once.sort("id"))
        assert said(draw(*many, seed=4)) != said(once)
    assert {len(part) for part in controls.random(*many).partition_by("picked")} <= set(range(5, 25))


def test_turns_of_one_question_are_answered_one_by_one():
    two = pl.concat([answers("a", "x", "yyy").with_columns(question=pl.lit("q"), turn=pl.Series([1, 2]))])
    out = controls.repeat(two)
    assert out.select("id", "response").rows() == [("q/1/repeat", "Ask 0?"), ("q/2/repeat", "Ask 1?")]


def test_all_controls_are_one_table_with_every_question_under_each_name():
    out = controls.all_of(A, B, seed=1)
    names = [*controls.FIXED, "repeat", "random", "longest", "shortest", "another"]
    assert out.group_by("model", maintain_order=True).len().rows() == [(name, 4) for name in names]
    assert out["id"].n_unique() == len(out)
    assert "another" not in set(controls.all_of(A.head(1))["model"])


def test_what_no_control_can_be_made_of_is_refused():
    with pytest.raises(RecipeError, match="at least one table of answers"):
        controls.longest()
    with pytest.raises(RecipeError, match="needs two or more questions, got 1"):
        controls.another(A.head(1))
    with pytest.raises(DataError, match="row 'a-0' has no question or no model"):
        controls.random(A.with_columns(model=pl.lit(None, dtype=pl.String)))
    with pytest.raises(RecipeError, match="texts is empty"):
        controls.null(A, texts={})
