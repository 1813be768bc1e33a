import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import RecipeError
from attar.core.table import COLUMNS
from attar.stages import pairs

TEXTS = ["Short.", "A middling answer to it.", "Quite another thing, told at length, with much around it.", "No idea at all."]


def answers(*scores, texts=TEXTS, second=None, parent="p"):
    talk = [[{"role": "user", "content": "Q"}, {"role": "assistant", "content": text}] for text in texts[: len(scores)]]
    return pl.DataFrame(
        {
            "id": [f"{parent}.{i}" for i in range(len(scores))],
            "parent": [parent] * len(scores),
            "prompt": ["Q"] * len(scores),
            "messages": pl.Series(talk, dtype=COLUMNS["messages"]),
            "response": pl.Series(texts[: len(scores)], dtype=pl.String),
            "reward": pl.Series(scores, dtype=pl.Float64),
            "other": pl.Series(second or [None] * len(scores), dtype=pl.Float64),
        }
    )


def only(table, **knobs):
    (row,) = pairs.choose(table, **knobs).to_dicts()
    return row


def test_the_best_stands_against_the_worst_and_the_conversation_ends_with_the_user():
    row = only(answers(1.0, 4.0, 2.0, 3.0))
    assert (row["id"], row["chosen_id"], row["rejected_id"]) == ("p", "p.1", "p.0")
    assert (row["chosen"], row["rejected"], row["margin"], row["unfit"]) == (TEXTS[1], TEXTS[0], 3.0, None)
    assert row["messages"] == [{"role": "user", "content": "Q"}]


def test_the_rejected_one_may_be_the_second_or_the_one_nearest_in_length_or_any():
    assert only(answers(1.0, 4.0, 2.0, 3.0), rejected="second")["rejected_id"] == "p.3"
    assert only(answers(1.0, 4.0, 2.0, 3.0), rejected="matched")["rejected_id"] == "p.3"
    assert only(answers(4.0, 1.0, 3.0, 2.0), rejected="matched")["rejected_id"] == "p.3"
    drawn = {only(answers(1.0, 4.0, 2.0, 3.0), rejected="random", seed=seed)["rejected_id"] for seed in range(40)}
    assert drawn == {"p.0", "p.2", "p.3"}


@pytest.mark.parametrize(
    ("table", "knobs", "why"),
    [
        (answers(1.0, 1.0, 1.0), {}, "all answers score the same"),
        (answers(1.0, 1.5), {"margin": 1.0}, "no answer is worse by 1"),
        (answers(1.0, None), {}, "1 of 2 answers with a score"),
        (answers(1.0, 2.0, texts=["The answer is  cat.", "the answer is cat."]), {}, "the answers are nearly the same"),
    ],
)
def test_a_prompt_without_a_sound_pair_says_why(table, knobs, why):
    row = only(table, **knobs)
    assert row["unfit"] == why
    assert row["chosen"] is None
    (verdict,) = pairs.keep_usable(pairs.choose(table, **knobs)).to_dicts()
    assert verdict == {"id": "p", "kept": False, "reason": why, "because": None}


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=4), st.sampled_from(["worst", "second", "random", "matched"]))
def test_the_chosen_one_is_never_below_any_and_always_above_the_rejected(scores, rejected):
    row = only(answers(*map(float, scores)), rejected=rejected)
    if row["unfit"] is None:
        assert row["chosen_reward"] == max(scores)
        assert row["chosen_reward"] > row["rejected_reward"]
        assert row["margin"] == row["chosen_reward"] - row["rejected_reward"]
    else:
        assert len(set(scores)) == 1


def test_the_audit_tells_what_length_and_another_score_would_have_said():
    table = pl.concat(
        [
            answers(2.0, 1.0, second=[1.0, 5.0], parent="a"),
            answers(1.0, 2.0, second=[1.0, 5.0], parent="b"),
            answers(1.0, 3.0, second=[1.0, 5.0], parent="c"),
            answers(1.0, 1.0, parent="d"),
        ]
    )
    told = {row["id"]: (row["value"], row["count"]) for row in pairs.audit(pairs.choose(table, second="other")).to_dicts()}
    longer = len(TEXTS[1]) - len(TEXTS[0])
    assert told["prompts"] == (4.0, 4)
    assert told["pairs"] == (3.0, 4)
    assert told["margin: mean"] == (pytest.approx(4 / 3), 3)
    assert told["margin: median"] == (1.0, 3)
    assert told["chosen longer by, characters: mean"] == (pytest.approx(longer / 3), 3)
    assert told["share where the longer one is chosen"] == (pytest.approx(2 / 3), 3)
    assert told["share where the second score agrees"] == (pytest.approx(2 / 3), 3)


def test_no_answers_give_no_pairs():
    assert len(pairs.choose(answers())) == 0
    assert pairs.audit(pairs.choose(answers()))["count"].to_list() == [0] * 7


def test_a_negative_margin_is_refused():
    with pytest.raises(RecipeError, match="margin must be >= 0, got -1"):
        pairs.choose(answers(1.0), margin=-1.0)
