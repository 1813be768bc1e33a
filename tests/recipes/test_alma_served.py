import json
import os
import sys
from itertools import groupby
from pathlib import Path

import pytest
import yaml

from attar.api.run import start
from attar.core.table import read
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.engines.local.spec import POCKET
from attar.runtime.home import Home, run_record
from attar.runtime.progress import Quiet
from attar.runtime.run_file import check_run_file
from attar.stages.annotate import scorer

STUB = Path(__file__).parents[1] / "servers" / "stub_vllm.py"
CHAT = "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n{response}<|im_end|>\n"
FIT = {"epochs": 2, "lr": 0.004, "batch": 8, "max_length": 256}
KNOBS = {
    "seeds": "pocket:64",
    "labels": "pocket:32",
    "judge_from": "student",
    "prompts": 24,
    "form": "pocket",
    "prompt_tokens": 60,
    "clusters": 8,
    "rounds": 3,
    "picked": 6,
    "answers": 6,
    "answer_tokens": 50,
    "question": CHAT,
    "distilled": 12,
    "train": FIT,
    "fit_judge": FIT,
    "against": [],
}


class Watching(Quiet):
    """Looks, whenever a training begins, whether a server is up."""

    def __init__(self, told):
        self.told, self.up = told, {}

    def begin(self, step, total, already, engine):
        if step.marks.trains:
            lines = self.told.read_text().splitlines() if self.told.exists() else []
            self.up[step.name] = bool(lines) and json.loads(lines[-1]).get("event") != "stop"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A run whose base is served: its steps' folders, and what its servers told."""
    place = tmp_path_factory.mktemp("served")
    told, home = place / "told.jsonl", Home(place / "home")
    env = {"STUB_TOLD": str(told), "OPENBLAS_NUM_THREADS": "1"}
    base = {"kind": "vllm", "model": "pocket:base", "command": [sys.executable, str(STUB)], "env": env}
    content = {"recipe": "alma", "engines": {"base": base}, "knobs": KNOBS, "run": {"max_failures": 1.0}}
    path = place / "alma.yaml"
    path.write_text(yaml.safe_dump(content))
    watch = Watching(told)
    start(check_run_file(content, path), home, watch)
    steps = {step["name"]: home.steps / step["folder"] for step in run_record(home, "alma")["steps"]}
    return steps, [json.loads(line) for line in told.read_text().splitlines()], watch


def named(steps, told):
    """What was asked, line by line: the step whose model was served, and how it was asked."""
    names = {str(folder / "model"): name for name, folder in steps.items()} | {str(POCKET / "base"): "base"}
    return [(names[line["model"]], line["asked"], line["prompts"]) for line in told if "asked" in line]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_server_runs_at_a_time_and_none_is_left(ran):
    _, told, _ = ran
    turns = [line["event"] for line in told if "event" in line]
    assert turns == ["start", "stop"] * (len(turns) // 2)
    for _, lines in groupby(told, key=lambda line: line["pid"]):
        events = [line.get("event") for line in lines]
        assert (events[0], events[-1]) == ("start", "stop")  # asked in between, and by no name but its own
    assert not any(alive(line["pid"]) for line in told)


def test_every_rounds_answers_come_from_the_models_that_are_due_in_their_order(ran):
    steps, told, _ = ran
    asked = named(steps, told)
    assert [model for model, _ in groupby(model for model, how, _ in asked if how == "chat")] == [
        "student-a",  # answers to be rated, then those of the second round
        "student-b",
        "student-a",
        "student-b",
        "round-2-train",
    ]
    assert {model for model, how, _ in asked if how == "text"} == {"base"}
    assert [model for model, _ in groupby(model for model, how, _ in asked if how == "labels")] == ["judge", "judge-distilled"]


def test_the_base_behind_a_server_goes_on_with_the_sheet_and_stops_at_its_marks(ran):
    steps, _, _ = ran
    asked = read(steps["prompts-1-asked"])
    prompts = asked["prompt"].drop_nulls().to_list()
    assert len(prompts) >= 6
    assert not any("\n" in prompt or "<|" in prompt for prompt in prompts)
    assert max(asked["prompt_tokens"]) <= 60


def test_an_answer_is_rated_with_one_call_for_all_eleven_numbers(ran):
    steps, told, _ = ran
    calls = [prompts for model, how, prompts in named(steps, told) if (model, how) == ("judge-distilled", "labels")]
    judged = [folder for name, folder in steps.items() if name.startswith("round-") and "-judge-" in name]
    assert set(calls) == {2}  # behind the question, and behind the 1 that 10 goes on from
    assert 20 < len(calls) <= sum(read(folder)["rating"].drop_nulls().len() for folder in judged)


def test_a_served_judge_rates_as_the_same_judge_does_in_this_process(ran):
    steps, _, _ = ran
    judge = Local(Spec("local", str(steps["judge-distilled"] / "model"), {"dtype": "float64", "threads": 1}))
    for name in ("round-2-judge-1", "round-3-judge-3"):
        served = read(steps[name])
        again = scorer.score(read(steps[name.replace("judge", "answers")]), engine=judge, what="rating", turns="last")
        assert served["rating"].drop_nulls().len() > 3
        assert served["rating_error"].to_list() == again["rating_error"].to_list()
        assert served["rating"].to_list() == pytest.approx(again["rating"].to_list(), abs=1e-6)
        assert served["rating_mass"].to_list() == pytest.approx(again["rating_mass"].to_list(), abs=1e-6)


def test_no_server_keeps_its_memory_while_a_model_is_trained(ran):
    _, _, watch = ran
    assert {"student-a", "judge", "judge-distilled", "round-2-train", "round-3-train"} <= set(watch.up)
    assert [name for name, up in watch.up.items() if up] == []
