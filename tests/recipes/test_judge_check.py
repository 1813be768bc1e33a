from alma_for_tests import traced

JUDGE = {"kind": "fake", "model": "judge"}
ANY = {"labels": None, "gold": None, "arms": [], "judge": JUDGE}


def test_almas_named_judge_is_checked_by_the_question_that_it_rates_by_before_anything_is_trained(tmp_path):
    steps = traced(tmp_path, **ANY, form="plain")
    names = list(steps)
    assert names.index("judge-is-able") < names.index("student-a")
    asked, rating = (steps[name].knobs["question"] for name in ("check-ratings", "round-2-judge-1"))
    assert asked == rating
    assert not steps["judge-is-able"].knobs["force"]
    assert traced(tmp_path, **ANY, form="plain", force_judge=True)["judge-is-able"].knobs["force"]


def test_a_judge_of_the_pocket_world_or_one_that_does_not_choose_is_not_checked(tmp_path):
    assert "judge-check" not in traced(tmp_path, **ANY)
    assert "judge-check" not in traced(tmp_path, form="plain")  # made of the base, and measured on `gold`
