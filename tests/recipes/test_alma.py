import math

import polars as pl
import pytest
import yaml

from attar.api.run import start
from attar.core.errors import RecipeError
from attar.core.table import read
from attar.pocket.speech import parse, respond
from attar.pocket.tasks import held_out
from attar.runtime.home import Home, run_record
from attar.runtime.plan import plan
from attar.runtime.progress import Quiet
from attar.runtime.run_file import check_run_file
from attar.runtime.runner import Settings, run

BASE = {"kind": "local", "model": "pocket:base", "dtype": "float64", "threads": 1}
FAKE = {"kind": "fake", "model": "base"}
CHAT = "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n{response}<|im_end|>\n"
FIT = {"epochs": 3, "lr": 0.004, "batch": 16, "max_length": 256}
KNOBS = {
    "seeds": "pocket:96",
    "labels": "pocket:64",
    "gold": "pocket:40",
    "judge_from": "student",
    "prompts": 90,
    "form": "pocket",
    "prompt_tokens": 60,
    "clusters": 20,
    "rounds": 4,
    "picked": 12,
    "answers": 8,
    "answer_tokens": 60,
    "question": CHAT,
    "distilled": 40,
    "train": FIT,
    "fit_judge": {**FIT, "epochs": 1},
    "prefer": {"epochs": 1, "lr": 0.00005, "batch": 8, "max_length": 256},
    "arms": ["other-alignment", "oracle"],
    "exam": "pocket",
    "exam_size": 45,
    "against": [],
}


def file_of(place, *, base=BASE, judge=None, **knobs):
    engines = {"base": base} | ({"judge": judge} if judge else {})
    content = {"recipe": "alma", "engines": engines, "knobs": {**KNOBS, **knobs}, "run": {"max_failures": 1.0}}
    path = place / "alma.yaml"
    path.write_text(yaml.safe_dump(content))
    return check_run_file(content, path)


def traced(place, **knobs):
    return {step.name: step for step in file_of(place, base=FAKE, **knobs).trace().steps}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    place = tmp_path_factory.mktemp("alma")
    home = Home(place / "home")
    start(file_of(place), home, Quiet())
    steps = {step["name"]: home.steps / step["folder"] for step in run_record(home, "alma")["steps"]}
    return steps, {name: home.steps / folder for name, folder in run_record(home, "alma")["results"].items()}


def test_the_answers_of_a_round_are_shared_evenly_by_the_first_students_and_the_latest(tmp_path):
    steps = traced(tmp_path)
    shares = {
        number: [steps[f"round-{number}-answers-{i}"].knobs["n"] for i in range(1, 4) if f"round-{number}-answers-{i}" in steps]
        for number in (2, 3, 4)
    }
    assert shares == {2: [4, 4], 3: [3, 3, 2], 4: [3, 3, 2]}
    writers = [steps[f"round-4-answers-{i}"].engine for i in (1, 2, 3)]
    assert [writer.name for writer in writers] == ["student-a", "student-b", "round-3-train"]
    assert steps["student-a"].knobs["seed"] != steps["student-b"].knobs["seed"]


def test_every_round_trains_the_base_anew_on_the_seeds_and_all_rounds_so_far(tmp_path):
    steps = traced(tmp_path)
    for number in (2, 3, 4):
        assert steps[f"round-{number}-train"].engine.model == "base"
        (rows,) = steps[f"round-{number}-train"].inputs
        assert [step.name for step in rows.inputs] == ["seeds", *(f"round-{i}-best" for i in range(2, number + 1))]


def test_an_arm_differs_from_the_rounds_in_one_thing(tmp_path):
    steps = traced(tmp_path, arms=["random-prompts", "latest-only", "one-student", "integer", "undistilled"])
    assert steps["random-prompts-round-3-pick"].knobs["clustered"] is False
    assert steps["latest-only-round-4-answers-1"].engine.name == "latest-only-round-3-train"
    assert steps["latest-only-round-4-answers-1"].knobs["n"] == 8
    assert steps["one-student-round-3-answers-1"].engine.name == "student-a"
    assert [steps[f"{arm}-round-2-judge-1"].engine.name for arm in ("integer", "undistilled")] == ["judge-distilled", "judge"]
    assert steps["integer-round-2-judge-1"].knobs["rounded"] is True
    assert "integer-round-2-answers-1" not in steps  # the same answers, judged otherwise


def test_a_plan_tells_how_many_answers_the_rounds_will_ask_for(tmp_path):
    planned = {
        line.step.name: line for line in plan(file_of(tmp_path, base=FAKE, arms=[]).trace(), Home(tmp_path / "home"), 24)
    }
    assert planned["prompts-1-asked"].calls == 45  # half of what is wanted
    assert planned["labels-answers"].calls == 64
    shares = {
        number: [line.calls for name, line in planned.items() if f"round-{number}-answers" in name] for number in (2, 3, 4)
    }
    assert shares == {2: [48, 48], 3: [36, 36, 24], 4: [36, 36, 24]}


def test_a_judge_that_is_there_is_not_trained(tmp_path):
    steps = traced(tmp_path, judge={"kind": "fake", "model": "judge"}, labels=None, gold=None, arms=[])
    assert not {"judge", "judge-distilled", "labels"} & set(steps)
    assert steps["round-2-judge-1"].engine.model == "judge"


def test_without_a_judge_and_without_labels_it_is_said_what_to_name(tmp_path):
    with pytest.raises(RecipeError, match="name an engine for 'judge' or 'rewarder', or labels: FILE"):
        traced(tmp_path, labels=None, gold=None)


def test_no_prompt_is_picked_twice_and_none_is_of_the_exam(whole):
    steps, _ = whole
    picked = [read(steps[f"round-{number}-prompts"]) for number in (2, 3, 4)]
    ids = [name for table in picked for name in table["id"]]
    assert len(ids) == len(set(ids)) == 36
    assert all(table["cluster"].n_unique() == 12 for table in picked)
    assert not any(held_out(task) for table in picked for prompt in table["prompt"] if (task := parse(prompt)))


def test_the_best_rated_of_all_writers_answers_is_trained_on(whole):
    steps, results = whole
    judged = pl.concat([read(steps[f"round-3-judge-{i}"]).select("id", "parent", "response", "rating") for i in (1, 2, 3)])
    able = judged.drop_nulls("rating").sort(["rating", "id"], descending=[True, False])
    best = able.unique("parent", keep="first").sort("parent")
    assert len(best) > 6
    assert read(steps["round-3-best"]).sort("parent")["id"].equals(best["id"])
    assert set(best["id"]) <= set(read(results["sft"])["id"])
    assert set(read(steps["seeds"])["id"]) <= set(read(results["sft"])["id"])


def test_a_rating_is_the_mean_of_its_numbers_under_the_judges_probabilities(whole):
    steps, _ = whole
    told = read(steps["gold-expected"]).drop_nulls("rating")
    assert len(told) > 20
    for chances, rating in told.select("rating_chances", "rating").iter_rows():
        assert math.isclose(sum(n * chance for n, chance in enumerate(chances)), rating, abs_tol=1e-9)
    whole_numbers = read(steps["gold-integer"]).drop_nulls("rating")["rating"]
    assert all(value == int(value) for value in whole_numbers)


def test_pairs_set_the_best_answer_against_a_worse_one_of_the_same_prompt(whole):
    steps, _ = whole
    pairs = read(steps["other-alignment-round-2-sound"])
    assert (pairs["chosen_reward"] > pairs["rejected_reward"]).all()
    best = read(steps["round-2-best"])
    assert set(pairs["chosen_id"]) <= set(best["id"])


def test_the_oracle_has_the_prompts_that_were_trained_on_with_their_true_answers(whole):
    steps, results = whole
    rows = read(steps["oracle-rows"])
    tasks = read(results["sft"]).filter([parse(prompt) is not None for prompt in read(results["sft"])["prompt"]])
    assert set(rows["id"]) == set(tasks["id"])
    own = rows.filter(pl.col("parent").is_not_null())
    assert len(own) > 20
    assert all(respond(parse(prompt)) == response for prompt, response in own.select("prompt", "response").iter_rows())


def test_the_scores_are_of_every_round_every_arm_and_the_base(whole):
    _, results = whole
    arms = read(results["scores"])["arm"].unique(maintain_order=True).to_list()
    assert arms == ["round-4", "round-1", "round-2", "round-3", "other-alignment", "oracle", "none"]
    assert set(read(results["agreement"])["name"]) == {"integer", "expected", "self-distilled"}


def test_rounds_after_a_plateau_bring_nothing_and_train_nothing(whole, tmp_path):
    steps, _ = whole
    home = Home(steps["seeds"].parent.parent)
    ended = file_of(tmp_path, rounds=5, patience=1, least=100.0, arms=[], exam="none", gold=None)
    run(ended.trace(), home, Quiet(), Settings(max_failures=1.0), name="ended")
    folders = {step.name: home.folder(step) for step in ended.trace().steps}
    (told,) = read(folders["round-5-plateau"]).to_dicts()
    assert told["stop"]
    assert "no better than" in told["reason"]
    assert read(folders["round-5-best"]).is_empty()
    models = [(folders[f"round-{number}-train"] / "model" / "model.safetensors").stat().st_ino for number in (4, 5)]
    assert models[0] == models[1]  # the same file: nothing was trained
