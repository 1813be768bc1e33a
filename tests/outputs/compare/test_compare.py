"""A comparison as one piece: what is compared, on which scale, and its tables as plain data."""

import json

import pytest

from attar.outputs.compare.compare import compare


@pytest.mark.parametrize(
    ("outcome", "values", "point"),
    [("correct", (True, False), 0.01), ("score", (7.0, 4.0), 1.0), ("preference", (0.75, 0.5), 0.01)],
)
def test_a_point_is_a_hundredth_of_a_share_and_one_of_a_score(made, marked, home, outcome, values, point):
    good, bad = values
    made("a", {"x": marked([good] * 4, outcome), "y": marked([bad] * 4, outcome)})
    found = compare(home, "a:x", "a:y")
    assert (found.outcome, found.point, found.questions) == (outcome, point, 4)


def test_a_comparison_as_plain_data_survives_json_and_has_every_table(made, marked, home):
    made("a", {"x": marked([True, False, True]), "y": marked([False, False, True])})
    plain = compare(home, "a:x", "a:y").plain()
    assert json.loads(json.dumps(plain)) == plain
    assert [side["id"] for side in plain["sides"]] == ["a:x", "a:y"]
    assert {name for name, value in plain.items() if isinstance(value, list)} == {
        *("sides", "figures", "taken", "trained", "worth", "examples")
    }


def test_leads_are_over_the_side_that_is_named_first(made, marked, home):
    made("a", {"x": marked([True] * 6 + [False] * 2), "y": marked([True] * 4 + [False] * 4)})

    def lead(*names):
        figures = compare(home, *names).figures.to_dicts()
        return next(line["value"] for line in figures if line["id"] == f"{names[1]}/all/all/lead")

    assert lead("a:x", "a:y") == pytest.approx(-0.25)  # four of eight against six
    assert lead("a:y", "a:x") == pytest.approx(0.25)


@pytest.mark.parametrize(("opponents", "named"), [(["gpt"] * 3, "gpt"), (["gpt", "gpt", "other"], None)])
def test_an_opponent_is_named_only_if_all_answers_had_the_same(made, marked, home, opponents, named):
    made("a", {arm: marked([0.5] * 3, "preference", opponent=opponents) for arm in ("x", "y")})
    assert compare(home, "a:x", "a:y").sides["opponent"].to_list() == [named, named]


def test_as_many_examples_are_shown_as_asked_for(made, marked, home):
    made("a", {"x": marked([True] * 5 + [False] * 5), "y": marked([False] * 5 + [True] * 5)})
    assert [len(compare(home, "a:x", "a:y", most=most).examples) for most in (0, 2)] == [0, 4]
