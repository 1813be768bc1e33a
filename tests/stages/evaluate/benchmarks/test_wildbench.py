import polars as pl
import pytest

from attar.stages.evaluate.benchmarks import wildbench


def value(out, name):
    return out.row(by_predicate=pl.col("id") == name, named=True)["value"]


def test_scores_by_task_are_those_worked_out_by_hand():
    table = pl.DataFrame(
        {
            "id": list("abc"),
            "question": list("abc"),
            "score": [7.0, 4.0, 10.0],
            "tags": [["Math"], ["Creative Writing", "Editing"], ["Data Analysis", "Coding & Debugging"]],
        }
    )
    out = wildbench.scores(table)
    assert value(out, "score") == pytest.approx(4)  # (21 / 3 - 5) x 2
    assert value(out, "Math & Data Analysis/score") == pytest.approx(7)  # (8.5 - 5) x 2
    assert value(out, "Creative Tasks/score") == pytest.approx(-2)  # once, though two of its tags are in the group
    assert value(out, "Coding & Debugging/score") == pytest.approx(10)
    assert value(out, "Planning & Reasoning/score") is None
    assert value(out, "by_task") == pytest.approx((7 * 1 - 2 * 0.5 + 10 * 1.25) / 2.75)
    by_category = table.drop("tags").with_columns(category=pl.Series(["Math", "Editing", "Coding & Debugging"]))
    assert value(wildbench.scores(by_category), "by_task") == pytest.approx((4 * 1 - 2 * 0.5 + 10 * 1.25) / 2.75)
    assert wildbench.scores(table.drop("tags"))["figure"].to_list() == ["score", "unscored"]


def battle(first, second, longer, opponent="base", whole=True):
    """Judged in two orders; by how many characters the response is longer."""
    known = [edge for edge in (first, second) if edge is not None]
    return {
        "preference": sum(known) / len(known) if whole else None,
        "preference_first": first,
        "preference_second": second,
        "response": "r" * (1000 + longer),
        "against": "a" * 1000,
        "opponent": opponent,
    }


def table(*battles):
    names = [f"q{i}" for i in range(len(battles))]
    kinds = {"preference_first": pl.Float64, "preference_second": pl.Float64, "preference": pl.Float64}
    return pl.DataFrame(list(battles), schema_overrides=kinds).with_columns(id=pl.Series(names), question=pl.Series(names))


@pytest.mark.parametrize(
    ("first", "second", "longer", "reward"),
    [
        (1.0, None, 0, 100),
        (0.75, None, 0, 50),
        (0.5, None, 0, 0),
        (0.25, None, 0, -50),
        (0.0, None, 0, -100),
        (0.75, None, 500, 50),  # not longer by more than the margin
        (0.75, None, 501, 0),
        (1.0, None, 501, 100),  # much better is no matter of length
        (0.25, None, 501, -50),  # the winner is the shorter one
        (0.25, None, -501, 0),
        (0.75, 1.0, 501, 50),  # of two orders the slight win alone is a tie: (0 + 100) / 2
    ],
)
def test_a_slight_win_by_length_is_a_tie(first, second, longer, reward):
    out = wildbench.rewards(table(battle(first, second, longer)), margin=500)
    assert value(out, "base/reward") == pytest.approx(reward)


def test_without_a_margin_length_is_no_matter_and_a_half_judged_battle_has_no_reward():
    assert value(wildbench.rewards(table(battle(0.75, None, 9000)), margin=None), "base/reward") == pytest.approx(50)
    out = wildbench.rewards(table(battle(1.0, None, 0), battle(0.0, None, 0, whole=False)))
    assert value(out, "base/reward") == pytest.approx(100)
    assert value(out, "base/unscored") == pytest.approx(0.5)


def test_of_several_baselines_each_has_its_lines_and_mix_is_of_all():
    out = wildbench.rewards(table(battle(1.0, 1.0, 0, "one"), battle(0.25, 0.25, 0, "two")))
    assert [value(out, f"{name}/reward") for name in ("one", "two", "mix")] == pytest.approx([100, -50, 25])
