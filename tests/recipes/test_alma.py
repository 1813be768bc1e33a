import math

import polars as pl
import pytest
from alma_for_tests import file_of

from attar.api.run import start
from attar.core.table import read
from attar.pocket.speech import parse, respond
from attar.pocket.tasks import held_out
from attar.runtime.home import Home, run_record
from attar.runtime.progress import Quiet
from attar.runtime.runner import run
from attar.runtime.settings import Settings


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    place = tmp_path_factory.mktemp("alma")
    home = Home(place / "home")
    start(file_of(place), home, Quiet())
    steps = {step["name"]: home.steps / step["folder"] for step in run_record(home, "alma")["steps"]}
    return steps, {name: home.steps / folder for name, folder in run_record(home, "alma")["results"].items()}


def test_no_prompt_is_picked_twice_and_none_is_of_the_exam(whole):
    steps, _ = whole
    picked = [read(steps[f"round-{number}-prompts"]) for number in (2, 3, 4)]
    ids = [name for table in picked for name in table["id"]]
    assert len(ids) == len(set(ids)) == 36
    assert all(table["cluster"].n_unique() == 12 for table in picked)
    tasks = [task for table in picked for prompt in table["prompt"] if (task := parse(prompt))]
    assert len(tasks) > 20
    assert not any(held_out(task) for task in tasks)


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
