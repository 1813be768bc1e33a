import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.stages.evaluate.judging import jury


def judged(*scores, score="preference"):
    names = [f"r{i}" for i in range(len(scores))]
    return pl.DataFrame({"id": names, "question": names, score: scores}, schema_overrides={score: pl.Float64})


ONE, TWO, THREE = judged(0.9, 0.4, 0.5), judged(0.6, 0.7, 0.5), judged(0.2, None, 0.8)
NAMES = ["one", "two", "three"]


def test_a_jury_gives_the_mean_the_median_or_the_side_with_more_votes():
    mean = jury.verdict(ONE, TWO, THREE, names=NAMES)
    assert mean["preference"].to_list() == [pytest.approx(1.7 / 3), None, pytest.approx(0.6)]
    assert mean["preference_error"].to_list() == [None, "2 of 3 judges have a score", None]
    assert mean["preference_judges"].to_list() == [3, 2, 3]
    assert jury.verdict(ONE, TWO, THREE, names=NAMES, how="median")["preference"].to_list() == [0.6, None, 0.5]
    votes = jury.verdict(ONE, TWO, THREE, names=NAMES, how="votes", least=2)
    assert votes["preference"].to_list() == [1.0, 0.5, 1.0]  # two of three; one each; one and two who see none better


def test_a_jury_says_who_sat_in_it():
    own = {"asked": pl.lit("h"), "order": pl.lit("both"), "mass": pl.lit(1.0), "votes": pl.lit(4), "text_1": pl.lit("so")}
    one, two = (table.with_columns(judge=pl.lit(who), **own) for table, who in ((ONE, "gpt"), (TWO, "qwen")))
    out = jury.verdict(one, two, names=["one", "two"])
    assert out.select("judge", "asked", "order").unique().rows() == [("jury(gpt, qwen; mean)", "h", "both")]
    assert not {"mass", "votes", "text_1"} & set(out.columns)  # one judge's own


def test_rows_are_matched_by_id_and_judges_of_other_rows_are_refused():
    turned = jury.verdict(ONE, TWO.reverse(), names=["one", "two"])
    assert turned.equals(jury.verdict(ONE, TWO, names=["one", "two"]))
    with pytest.raises(DataError, match="judges 'one' and 'two' have different rows: only one of them has row 'r2'"):
        jury.verdict(ONE, TWO.head(2), names=["one", "two"])
    with pytest.raises(RecipeError, match="two or more judges"):
        jury.verdict(ONE, names=["one"])
    with pytest.raises(RecipeError, match="least from 1 to 2, got"):
        jury.verdict(ONE, TWO, names=["one", "two"], least=3)
    with pytest.raises(DataError, match="row 'r0' has a preference outside 0 to 1"):
        jury.verdict(judged(7.0), judged(0.5), names=["one", "two"], how="votes")


def figure(out, name):
    return out.row(by_predicate=pl.col("figure") == name, named=True)


def test_agreement_and_kappa_of_four_rows_are_those_worked_out_by_hand():
    # sides: win win, win loss, loss loss, tie loss; shares of the first 2/4 1/4 1/4, of the second 1/4 3/4 0
    out = jury.agreement(judged(0.9, 0.8, 0.2, 0.5), judged(0.7, 0.3, 0.1, 0.4), names=["a", "b"])
    assert out["id"].to_list() == ["a/b/agreement", "a/b/kappa", "a/b/spearman"]
    by_chance = 2 / 4 * 1 / 4 + 1 / 4 * 3 / 4
    assert figure(out, "agreement")["value"] == pytest.approx(0.5)
    assert figure(out, "kappa")["value"] == pytest.approx((0.5 - by_chance) / (1 - by_chance))
    assert figure(out, "spearman")["value"] == pytest.approx(0.8)  # ranks 4 3 1 2 and 4 2 1 3: 1 - 6 x 2 / 60
    low, high = (figure(out, "agreement")[end] for end in ("low", "high"))
    assert 0 <= low < 0.5 < high


def test_without_a_middle_scores_agree_if_they_round_to_the_same_number():
    out = jury.agreement(judged(7.4, 3.0, 9.0), judged(6.6, 4.0, 9.2), names=["a", "b"], middle=None)
    assert figure(out, "agreement")["value"] == pytest.approx(2 / 3)


def test_every_pair_is_looked_at_on_the_rows_that_both_have_scored():
    out = jury.agreement(ONE, TWO, THREE, names=NAMES)
    assert len(out) == 9
    assert out.filter(pl.col("figure") == "agreement")["count"].to_list() == [3, 2, 2]
    none = jury.agreement(judged(None), judged(0.2), names=["a", "b"])
    assert none["value"].to_list() == [None] * 3


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_a_judge_agrees_wholly_with_itself(scores):
    out = jury.agreement(judged(*scores), judged(*scores), names=["a", "b"], bootstrap=20)
    assert figure(out, "agreement")["value"] == 1.0
    assert figure(out, "kappa")["value"] in (None, pytest.approx(1.0))
    assert figure(out, "agreement")["low"] < 1.0  # a few rows prove little
