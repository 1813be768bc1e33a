import polars as pl

from attar.stages.evaluate.figures import arm_scores


def arm(right):
    return pl.DataFrame(
        {"id": [str(i) for i in range(len(right))], "correct": right, "level": ["easy", "hard"] * (len(right) // 2)}
    )


def test_arms_are_compared_by_level_and_with_the_first_arm():
    out = arm_scores.compare(arm([True, True, True, False]), arm([True, None, False, False]), arms=["new", "old"])
    got = {(row["arm"], row["level"]): row for row in out.to_dicts()}
    assert {key: row["accuracy"] for key, row in got.items()} == {
        ("new", "all"): 0.75,
        ("new", "easy"): 1.0,
        ("new", "hard"): 0.5,
        ("old", "all"): 0.25,
        ("old", "easy"): 0.5,
        ("old", "hard"): 0.0,
    }
    assert got["old", "all"]["lead"] == 0.5
    assert got["new", "all"]["lead"] == 0.0


def test_arms_are_matched_by_id_not_by_place():
    one = arm([True, False, True, False])
    out = arm_scores.compare(one.reverse(), one, arms=["a", "b"])
    assert out.filter(pl.col("arm") == "b")["lead_high"].to_list() == [0.0, 0.0, 0.0]


def test_one_question_says_nothing_of_the_lead():
    one = pl.DataFrame({"id": ["0"], "correct": [True], "level": ["easy"]})
    out = arm_scores.compare(one, one.with_columns(correct=pl.lit(False)), arms=["a", "b"]).filter(arm="b", level="all")
    assert out.select("lead", "lead_low", "lead_high").row(0) == (1.0, -1.0, 1.0)
