"""Every benchmark by its run file; the judge is a real server over HTTP, which finds the longer of two answers better."""

import json
import re
from contextlib import contextmanager
from math import log

import polars as pl
import pytest
import yaml
from aiohttp import web
from servers_for_tests import Served

from attar.api.run import start
from attar.core.errors import RecipeError
from attar.core.table import read
from attar.runtime.home import Home, run_record
from attar.runtime.progress import Quiet
from attar.runtime.run_file import check_run_file

LONG, SHORT = "A long and thorough answer.", "Short."
SURE = 0.75
ASKED = [{"instruction": f"What is {i}?", "output": SHORT, "generator": "old"} for i in range(12)]


def judge_of(say=None, first=None):
    """A judge who is sure by so much that the longer one is better, or the first; or who writes what `say` makes of it."""

    async def speak(asked):
        text = asked["messages"][-1]["content"]
        sizes = [len(said) for _, said in re.findall(r"Answer \w+, between the lines:\n(-+)\n(.*?)\n\1", text, re.DOTALL)]
        choice = {"message": {"role": "assistant", "content": say(text, sizes) if say else "m"}}
        if asked.get("logprobs"):
            sure = first or (0.5 if sizes[0] == sizes[1] else SURE if sizes[0] > sizes[1] else 1 - SURE)
            tops = [{"token": "m", "logprob": log(sure)}, {"token": "M", "logprob": log(1 - sure)}]
            choice["logprobs"] = {"content": [{"token": "m", "top_logprobs": tops}]}
        return web.json_response({"choices": [{"index": 0, "finish_reason": "stop", **choice}], "usage": {"prompt_tokens": 5}})

    return speak


@contextmanager
def served(*judges):
    servers = [Served(speak, models=(f"judge-{i}",)) for i, speak in enumerate(judges, 1)]
    try:
        yield [{"kind": "http", "model": f"judge-{i}", "url": each.url} for i, each in enumerate(servers, 1)], servers
    finally:
        for each in servers:
            each.stop()


def says(*replies, model="m"):
    return {"kind": "fake", "model": model, "replies": list(replies)}


def evaluated(place, engines, **knobs):
    """The results of a run, as tables."""
    content = {"recipe": "evaluate", "engines": engines, "knobs": {"bootstrap": 200, **knobs}}
    path = place / "run.yaml"
    path.write_text(yaml.safe_dump(content))
    home = Home(place / "home")
    start(check_run_file(content, path), home, Quiet())
    return {name: read(home.steps / folder) for name, folder in run_record(home, "run")["results"].items()}


def written(place, *rows, name="asked.jsonl"):
    (place / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(place / name)


def values(figures, **of):
    """Figures by name, of the lines that are of this."""
    rows = figures.filter(*(pl.col(name).eq_missing(pl.lit(value)) for name, value in of.items()))
    return {row["figure"]: row["value"] for row in rows.to_dicts()}


def test_alpaca_eval_of_a_model_against_a_file_with_controls_beside_it(tmp_path):
    source = written(tmp_path, *ASKED)
    with served(judge_of()) as ([judge], [server]):
        found = evaluated(
            tmp_path, {"model": says(LONG), "judge": judge}, benchmark="alpaca_eval", questions=source, baseline=source
        )
    assert values(found["figures"], model="m")["win_rate"] == pytest.approx(100 * SURE)
    assert values(found["figures"], model="null-empty")["win_rate"] == pytest.approx(100 * (1 - SURE))
    assert values(found["figures"], model="longest")["win_rate"] == pytest.approx(100 * SURE)
    assert values(found["figures-length"])["longer_wins"] == 1
    assert values(found["figures-place-judge"])["gap"] == 0
    answers = found["answers-model"]
    assert answers["preference"].to_list() == pytest.approx([SURE] * 12)
    assert set(answers["judge"]) == {"judge-1"}
    assert not answers["disagrees"].any()
    # each pair once in each order: the model's and the empty ones; "longest" are the model's own, "random" may be the file's
    assert 2 * 2 * 12 <= len(server.posted) <= 2 * 3 * 12


def test_a_jury_is_told_with_how_far_it_agrees_and_what_sways_each_judge(tmp_path):
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


PAIRS = [
    {"id": i, "prompt": "Why?", "chosen": LONG if i < 3 else SHORT, "rejected": "No.!.", "subset": "mine"} for i in range(4)
]


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
    assert values(found["figures"], family="all", level="all")["accuracy"] == 0


@pytest.mark.parametrize(
    ("engines", "knobs", "why"),
    [
        ({}, {"benchmark": "pocket"}, "benchmark 'pocket' needs an engine for the role 'model'"),
        ({"model": says("a")}, {"benchmark": "alpaca_eval"}, "needs an engine for the role 'judge' or 'rewarder'"),
        ({"model": says("a"), "rewarder": says("a")}, {"benchmark": "mt_bench"}, "it needs a 'judge', a 'rewarder' has none"),
        ({"model": says("a"), "judge": says("a")}, {"benchmark": "arena_hard", "order": "seeded"}, "is AlpacaEval's"),
        ({"judge": says("a"), "rewarder": says("a")}, {"benchmark": "judge_accuracy"}, "one of them judges"),
        ({"model": says("a"), "second_judge": says("a")}, {"benchmark": "wildbench"}, "first judge has the role 'judge'"),
        ({"model": says("a"), "judge": says("a")}, {"benchmark": "arena_hard"}, "Give 'questions': a file"),
        (
            {"model": says("a"), "judge": says("a")},
            {"benchmark": "alpaca_eval", "questions": "pocket"},
            "name an engine 'opponent', or a file of answers as 'baseline'",
        ),
    ],
)
def test_what_is_missing_is_said_before_anything_is_asked(tmp_path, engines, knobs, why):
    with pytest.raises(RecipeError, match=why):
        check_run_file({"recipe": "evaluate", "engines": engines, "knobs": knobs}, tmp_path / "run.yaml").trace()
