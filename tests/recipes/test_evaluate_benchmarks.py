import pytest
from judges_for_tests import LONG, SHORT, evaluated, judge_of, says, served, values, written


def verdict(text, sizes):
    return "I looked at both. [[A>>B]]" if sizes[0] > sizes[1] else "[[B>>A]]" if sizes[1] > sizes[0] else "[[A=B]]"


def test_arena_hard_by_what_a_judge_writes(tmp_path):
    source = written(tmp_path, *({"uid": f"q{i}", "category": "c", "prompt": f"What is {i}?"} for i in range(12)))
    with served(judge_of(verdict)) as ([judge], _):
        found = evaluated(
            tmp_path,
            {"model": says(LONG), "opponent": says(SHORT, model="o"), "judge": judge},
            benchmark="arena_hard",
            questions=source,
            by="verdict",
            controls=["null-empty"],
            style=[],
        )
    assert values(found["figures"], model="m", category="c")["score"] == 100
    assert values(found["figures"], model="null-empty", category="c")["score"] == 0
    assert found["answers-model"]["verdict_1"].unique().to_list() == ["B>>A"]


def test_mt_bench_asks_two_turns_and_grades_both(tmp_path):
    rows = [{"question_id": i, "category": "writing", "turns": [f"Say {i}.", "Say more."]} for i in range(6)]
    with served(judge_of(lambda text, _: "[[4]]" if "Say more." in text else "Good. [[8]]")) as ([judge], servers):
        found = evaluated(
            tmp_path,
            {"model": says(LONG), "judge": judge},
            benchmark="mt_bench",
            questions=written(tmp_path, *rows),
            by="verdict",
        )
    assert values(found["figures"], category="all") == pytest.approx({"score": 6, "turn_1": 8, "turn_2": 4, "unscored": 0})
    later = found["answers-model"].filter(turn=2)
    assert [turn["content"] for turn in later["messages"][0]] == ["Say 0.", LONG, "Say more.", LONG]
    assert len(servers[0].posted) == 12


def test_wildbench_scores_by_its_checklist_and_rewards_with_a_margin(tmp_path):
    rows = [
        {"session_id": f"s{i}", "conversation_input": [{"role": "user", "content": f"Do {i}."}], "checklist": ["Is it done?"]}
        for i in range(6)
    ]

    def say(text, sizes):
        if not sizes:
            assert "- Is it done?" in text
            return "[[7]]"
        return "[[A+]]" if sizes[0] > sizes[1] else "[[B+]]"

    with served(judge_of(say)) as ([judge], _):
        knobs = {"benchmark": "wildbench", "questions": written(tmp_path, *rows), "by": "verdict", "controls": ["null-empty"]}
        engines = {"model": says(LONG), "opponent": says(SHORT, model="o"), "judge": judge}
        found = evaluated(tmp_path, engines, **knobs, margin=100)
        tied = evaluated(tmp_path, engines, **knobs, margin=5)
    assert values(found["figures"], category="all")["score"] == (7 - 5) * 2
    rewards = found["figures-reward-judge"]
    assert values(rewards, model="m", category="all")["reward"] == 50
    assert values(rewards, model="null-empty", category="all")["reward"] == -50
    assert values(tied["figures-reward-judge"], model="m", category="all")["reward"] == 0  # slight, and longer by more


def test_a_judge_is_measured_by_pairs_whose_better_answer_is_known(tmp_path):
    texts = [LONG, LONG, LONG, SHORT]
    pairs = [
        {"id": i, "prompt": f"Why {i}?", "chosen": text, "rejected": "Well, I say.", "subset": "mine"}
        for i, text in enumerate(texts)
    ]
    with served(judge_of()) as ([judge], _):
        found = evaluated(tmp_path, {"judge": judge}, benchmark="judge_accuracy", questions=written(tmp_path, *pairs))
    assert values(found["figures"], category="mine")["accuracy"] == 3 / 4  # the short one is chosen once


def test_wildbench_s_pairs_are_worded_apart_from_its_scores(tmp_path):
    rows = [{"session_id": f"s{i}", "conversation_input": [{"role": "user", "content": f"Do {i}."}]} for i in range(4)]
    grading, pairing = tmp_path / "score.txt", tmp_path / "pair.txt"
    grading.write_text("Grade {prompt}: {response}")
    pairing.write_text("Compare for {prompt}: {first} or {second}")
    with served(judge_of(lambda text, _: "[[7]]" if text.startswith("Grade") else "[[A=B]]")) as ([judge], _):
        found = evaluated(
            tmp_path,
            {"model": says(LONG), "opponent": says(SHORT, model="o"), "judge": judge},
            benchmark="wildbench",
            questions=written(tmp_path, *rows),
            by="verdict",
            wording=str(grading),
            pair_wording=str(pairing),
            controls=[],
        )
    assert values(found["figures"], category="all")["score"] == 4
    assert values(found["figures-reward-judge"], category="all")["reward"] == 0


def test_numbers_in_several_tries(tmp_path):
    source = written(tmp_path, *({"question": f"{i} + {i}?", "answer": f"#### {2 * i}"} for i in range(4)))
    found = evaluated(tmp_path, {"model": says("It is 2.")}, benchmark="numbers", questions=source, tries=3, temperature=1.0)
    assert values(found["figures"]) == pytest.approx({"accuracy": 0.25, "pass@1": 0.25, "pass@3": 0.25, "unscored": 0})
    assert len(found["answers-model"]) == 12


def test_constraints_without_any_file(tmp_path):
    found = evaluated(tmp_path, {"model": says("no")}, benchmark="constraints", count=12)
    assert found["answers-model"]["correct"].mean() == values(found["figures"], level="all")["accuracy"]
    assert {"prompt_strict", "instruction_loose"} <= set(values(found["figures-constraints"]))


def test_the_pocket_world_s_tasks(tmp_path):
    found = evaluated(tmp_path, {"model": says("I do not know.")}, benchmark="pocket", count=24)
    assert found["answers-model"]["response"].to_list() == ["I do not know."] * 24
    [line] = found["figures"].filter(family="all", level="all", figure="accuracy").to_dicts()
    assert (line["value"], line["count"]) == (0, 24)
