import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import RecipeError
from attar.runtime.flow import Trace
from attar.stages.select import best_of_n
from attar.stages.synth import plain_personas


def answers(scores: dict[str, list[float | None]], start: int = 0) -> pl.DataFrame:
    rows = [(f"{prompt}.{start + i}", prompt, score) for prompt, own in scores.items() for i, score in enumerate(own)]
    return pl.DataFrame(rows, schema={"id": pl.String, "parent": pl.String, "score": pl.Float64}, orient="row").with_columns(
        response=pl.format("said by {}", "id")
    )


def taken(*tables, **knobs):
    return best_of_n.of_each(*([table] for table in tables), **{"by": "score", **knobs})


def test_of_each_prompt_the_best_answer_stays_whichever_table_it_stands_in():
    first, second = answers({"p": [1.0, 5.0], "q": [2.0, 1.0]}), answers({"p": [4.0], "q": [3.0]}, start=2)
    out = taken(first, second, others=0)
    assert out["id"].to_list() == ["p.1", "q.2"]
    assert out["response"].to_list() == ["said by p.1", "said by q.2"]


def test_of_equal_answers_the_first_by_id_is_the_best():
    assert taken(answers({"p": [2.0, 3.0, 3.0]}), others=0)["id"].to_list() == ["p.1"]


def test_the_lowest_answers_may_be_the_others():
    out = taken(answers({"p": [5.0, 1.0, 4.0, 2.0, 3.0]}), others=2, which="lowest")
    assert set(out["id"]) == {"p.0", "p.1", "p.3"}


def test_an_answer_without_a_score_is_none_and_counts_for_nothing():
    out = taken(answers({"p": [None, 2.0, float("nan"), 4.0], "q": [None]}), others=9)
    assert out["id"].to_list() == ["p.1", "p.3"]
    assert out["answers"].to_list() == [2, 2]
    assert out["answers_mean"].to_list() == [3.0, 3.0]


def test_others_are_drawn_alike_whatever_they_score():
    drawn = [0] * 6
    for seed in range(400):
        out = taken(answers({"p": [9.0, 5.0, 4.0, 3.0, 2.0, 1.0]}), others=1, seed=seed)
        for name in out["id"]:
            drawn[int(name[2:])] += 1
    assert drawn[0] == 400
    assert all(50 < count < 110 for count in drawn[1:])  # 80 each; four standard deviations are 32


SCORES = st.lists(st.one_of(st.none(), st.integers(0, 3).map(float)), max_size=7)


@given(st.dictionaries(st.sampled_from("pqrs"), SCORES, max_size=4), st.integers(0, 4), st.data())
def test_the_parts_in_which_answers_come_change_nothing(scores, others, data):
    whole = answers(scores)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    at_once = best_of_n._ROWS_AT_ONCE
    best_of_n._ROWS_AT_ONCE = data.draw(st.integers(1, 5))
    try:
        pieces = best_of_n.of_each(parts, by="score", others=others)
    finally:
        best_of_n._ROWS_AT_ONCE = at_once
    assert pieces.equals(taken(whole, others=others))
    for prompt, own in scores.items():
        known = [score for score in own if score is not None]
        here = pieces.filter(parent=prompt) if len(pieces) else pieces
        assert len(here) == min(len(known), others + 1)
        if known:
            assert max(here["score"]) == max(known)


def test_what_is_no_number_of_others_is_refused():
    with pytest.raises(RecipeError, match="others must be >= 0, got -1"):
        taken(answers({"p": [1.0]}), others=-1)


def test_the_old_knob_of_is_refused_while_tracing_and_the_error_names_group_by():
    flow = Trace()
    with pytest.raises(RecipeError, match=r"best_of_n\.of_each has no knob 'of'; known: by, group_by"):
        flow(best_of_n.of_each, flow(plain_personas.nobody, count=1), by="score", of="parent")
