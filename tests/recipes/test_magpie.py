import json

import polars as pl
import pytest
from stages_for_tests import FAKE

from attar.home import card
from attar.run import Settings, run
from attar.runfile import read_run_file
from attar.table import read
from attar.watch import Quiet

POCKET = """
recipe: magpie
engines:
  teacher: {kind: local, model: "pocket:teacher", dtype: float64, threads: 1}
  rewarder: {kind: local, model: "pocket:rewarder", dtype: float64, threads: 1}
  base: {kind: local, model: "pocket:base", dtype: float64, threads: 1}
knobs: {count: 120, size: 24, prompt_tokens: 80, answer_tokens: 80, rule: reward > 0, by: reward, epochs: 1, lr: 0.004,
        batch: 8, max_length: 256, exam: pocket, exam_size: 45}
"""


class Cards(Quiet):
    def __init__(self):
        self.cards, self.fresh = {}, []

    def end(self, step, card, fresh):
        self.cards[step.name] = card
        self.fresh += [step.name] if fresh else []


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    from attar.home import Home

    place = tmp_path_factory.mktemp("magpie")
    (place / "pocket.yaml").write_text(POCKET)
    home, cards = Home(place / "home"), Cards()
    results = run(read_run_file(place / "pocket.yaml").trace(), home, cards)
    return place, home, cards.cards, results


def test_the_funnel_runs_from_draws_to_the_chosen_rows(whole):
    cards = whole[2]
    assert cards["draws"]["rows"] == cards["ask"]["rows"] == 120
    assert cards["fresh"]["rows"] >= cards["unseen"]["rows"] >= cards["good"]["rows"] >= cards["chosen"]["rows"] == 24
    chosen = read(whole[3]["sft"])
    assert chosen["reward"].min() > 0
    assert chosen["prompt"].n_unique() == 24


def test_the_control_has_as_many_rows_and_takes_no_heed_of_the_reward(whole):
    cards = whole[2]
    assert cards["random"]["rows"] == 24
    assert card(whole[3]["model-random"])["knobs"] == card(whole[3]["model-selected"])["knobs"]


def test_no_row_that_is_trained_on_states_a_task_of_the_exam(whole):
    from attar.world.speech import parse
    from attar.world.tasks import held_out

    tasks = [parse(prompt) for prompt in read(whole[3]["sft"])["prompt"]]
    assert not any(held_out(task) for task in tasks if task)


def test_every_arm_sits_the_same_exam_and_the_base_knows_nothing(whole):
    scores = read(whole[3]["scores"]).filter(pl.col("level") == "all")
    assert scores["arm"].to_list() == ["selected", "random", "none"]
    assert scores["count"].to_list() == [45, 45, 45]
    assert scores["accuracy"][2] <= 0.05


def test_a_second_run_asks_no_model_anything(whole):
    place, home, _, _ = whole
    again = Cards()
    run(read_run_file(place / "pocket.yaml").trace(), home, again)
    assert again.fresh == []


@pytest.mark.parametrize("shard", [1, 7, 1000])
def test_the_rows_are_the_same_for_any_shard_size(run_file, tmp_path, shard):
    from attar.home import Home

    trace = read_run_file(run_file(FAKE)).trace()
    out = run(trace, Home(tmp_path / f"home-{shard}"), Quiet(), Settings(shard=shard, bulk=shard))
    plain = run(trace, Home(tmp_path / "plain"), Quiet())
    assert read(out["sft"]).equals(read(plain["sft"]))
    assert len(read(plain["sft"])) == 10


def test_failed_draws_are_dropped_with_their_reason_and_the_rest_goes_on(run_file, do_file):
    results = do_file(run_file(FAKE.replace("model: teacher", "model: teacher, faults: 0.1, cut: 0.05")))
    assert read(results["sft"])["response"].null_count() == 0
    dedup = next(path for path in results["sft"].parent.iterdir() if path.name.startswith("dedup"))
    reasons = read(dedup).filter(~pl.col("kept"))["reason"].to_list()
    assert reasons
    assert set(reasons) == {"no prompt"}


def test_the_record_of_a_run_holds_no_secret_and_every_knob(run_file, home, monkeypatch):
    from attar.start import start

    monkeypatch.setenv("SOME_KEY", "sk-secret")
    record = start(read_run_file(run_file(FAKE)), home, Quiet())
    text = json.dumps(record)
    assert record["knobs"] == {"count": 60, "size": 10}
    assert "sk-secret" not in text
