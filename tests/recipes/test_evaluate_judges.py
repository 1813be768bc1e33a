import pytest
from judges_for_tests import ASKED, LONG, SHORT, SURE, evaluated, judge_of, says, served, values, written

from attar.runtime.run_file import check_run_file


def test_a_jury_comes_with_how_far_it_agrees_and_what_sways_each_judge(tmp_path):
    source = written(tmp_path, *ASKED)
    with served(judge_of(), judge_of(first=0.75)) as (judges, _):
        found = evaluated(
            tmp_path,
            {"model": says(LONG), "opponent": says(SHORT, model="o"), "judge": judges[0], "second_judge": judges[1]},
            benchmark="alpaca_eval",
            questions=source,
            controls=[],
        )
    assert values(found["figures"], model="m")["win_rate"] == pytest.approx(100 * (SURE + 0.5) / 2)
    assert values(found["figures-place-second-judge"])["gap"] == pytest.approx(0.5)
    assert values(found["figures-place-second-judge"])["first_wins"] == pytest.approx(0.75)
    assert values(found["figures-jury"])["agreement"] == 0  # one always has a winner, the other never


def test_each_judge_of_a_jury_gives_its_own_wildbench_rewards(tmp_path):
    rows = [{"session_id": f"s{i}", "conversation_input": [{"role": "user", "content": f"Do {i}."}]} for i in range(4)]

    def says_always(grade):
        return judge_of(lambda _, sizes: "[[7]]" if not sizes else f"[[A{grade}]]" if sizes[0] > sizes[1] else f"[[B{grade}]]")

    with served(says_always("+"), says_always("++")) as (judges, _):
        found = evaluated(
            tmp_path,
            {"model": says(LONG), "opponent": says(SHORT, model="o"), "judge": judges[0], "second_judge": judges[1]},
            benchmark="wildbench",
            questions=written(tmp_path, *rows),
            by="verdict",
            controls=[],
        )
    assert values(found["figures-reward-judge"], category="all")["reward"] == 50
    assert values(found["figures-reward-second-judge"], category="all")["reward"] == 100


def test_a_reward_model_judges_arena_hard_too_with_style_held_even(tmp_path):
    found = evaluated(
        tmp_path,
        {"model": says(LONG, SHORT), "opponent": says(SHORT, model="o"), "rewarder": {"kind": "fake", "model": "r"}},
        benchmark="arena_hard",
        questions=written(tmp_path, *({"uid": f"q{i}", "prompt": f"What is {i}?"} for i in range(12))),
        controls=[],
        style=["length"],
    )
    assert {"score", "score_even"} <= set(values(found["figures"], model="m"))
    assert values(found["figures"], model="m")["score"] == pytest.approx(100 * found["answers-model"]["preference"].mean())


def test_a_reward_model_stands_in_for_a_judge(tmp_path):
    found = evaluated(
        tmp_path,
        {"model": says(LONG), "opponent": says(SHORT, model="o"), "rewarder": {"kind": "fake", "model": "r"}},
        benchmark="alpaca_eval",
        questions=written(tmp_path, *ASKED),
        controls=[],
    )
    rows = found["answers-model"]
    odds = (rows["preference"] / (1 - rows["preference"])).log()
    assert odds.to_list() == pytest.approx((rows["reward"] - rows["against_reward"]).to_list())


def trace_steps(tmp_path, **engines):
    knobs = {"benchmark": "alpaca_eval", "questions": written(tmp_path, *ASKED), "controls": []}
    engines = {"model": says(LONG, model="m"), "opponent": says(SHORT, model="o"), **engines}
    content = {"recipe": "evaluate", "engines": engines, "knobs": knobs}
    return {step.name: step for step in check_run_file(content, tmp_path / "run.yaml").trace().steps}


def test_a_judge_who_is_also_a_player_is_watched_for_favouring_its_own(tmp_path):
    own = trace_steps(tmp_path, judge=says("m", model="m"), second_judge=says("m", model="j"))
    assert own["own-bias"].knobs["own"] == ["m", None]
    assert [one.name for one in own["own-bias"].inputs] == ["judged-judge", "judged-second-judge"]
    others = trace_steps(tmp_path, judge=says("m", model="i"), second_judge=says("m", model="j"))
    assert "own-bias" not in others
    assert "jury-agreement" in others


def test_one_judge_alone_is_no_jury_and_three_vote_together(tmp_path):
    alone = trace_steps(tmp_path, judge=says("m", model="i"))
    assert {"judged-judge", "judge-place", "length-bias"} <= set(alone)
    assert "jury-agreement" not in alone
    jury = trace_steps(
        tmp_path, judge=says("m", model="i"), second_judge=says("m", model="j"), third_judge=says("m", model="k")
    )
    names = ["judge", "second-judge", "third-judge"]
    assert jury["judged"].knobs["names"] == names
    assert [one.name for one in jury["judged"].inputs] == [f"judged-{name}" for name in names]
    assert {f"{name}-place" for name in names} <= set(jury)
