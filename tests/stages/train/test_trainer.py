import polars as pl
import pytest

from attar.core.errors import DataError, EngineError, RecipeError
from attar.engines.base import Spec
from attar.engines.local.spec import POCKET
from attar.stages.train import sft, trainer

BASE = Spec("local", "pocket:base", {"threads": 1})


def test_rows_without_an_answer_are_no_training_data(talks, tmp_path):
    table = talks(3).with_columns(response=pl.lit(None, dtype=pl.String))
    with pytest.raises(DataError, match="no row to train on"):
        sft.train(table, engine=BASE, into=tmp_path / "model")


def test_the_trained_model_stops_where_the_assistants_turn_ends_though_its_base_did_not(talks, tmp_path):
    import json
    import shutil

    folder = shutil.copytree(POCKET / "base", tmp_path / "other")
    for file in ("config.json", "generation_config.json"):
        said = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(said | {"eos_token_id": 1}))
    said = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(said | {"eos_token": "<|endoftext|>"}))
    sft.train(talks(4), engine=Spec("local", str(folder)), into=tmp_path / "model", epochs=1, batch=4)
    stops = json.loads((tmp_path / "model" / "generation_config.json").read_text())["eos_token_id"]
    assert stops == [3, 1]  # <|im_end|>, and what it stopped at before


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"qlora": True}, "rank too"),
        ({"lora": 0}, "knob .lora. .* got 0"),
        ({"batch": 0}, "batch 0"),
        ({"batch": 6, "accumulate": 4}, "batch size 6 is not divisible"),
    ],
)
def test_knobs_that_cannot_be_are_refused(knobs, said, talks, tmp_path):
    with pytest.raises(RecipeError, match=said):
        sft.train(talks(3), engine=BASE, into=tmp_path / "model", **knobs)


def test_a_batch_may_be_taken_in_portions(talks, tmp_path):
    losses = []
    for portions in (1, 4):
        knobs = {"epochs": 1, "batch": 8, "accumulate": portions, "max_length": 128}
        losses.append(sft.train(talks(16), engine=BASE, into=tmp_path / "model", **knobs)["loss"].to_list())
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_step_on_a_gpu_is_taken_in_as_few_portions_as_hold_the_most_tokens_at_once():
    def count_portions(batch, processes=1, max_length=2048, on_cpu=False):
        settings = trainer.TrainingSettings(1, 1e-4, batch, None, max_length, 0, "linear", 0)
        return trainer._accumulation_steps(settings, processes, on_cpu)

    assert trainer._MICROBATCH_TOKENS == 16 * 2048
    assert [count_portions(batch) for batch in (1, 16, 17, 32, 36, 128)] == [1, 1, 17, 2, 3, 8]
    assert count_portions(128, processes=4) == 2
    assert count_portions(128, on_cpu=True) == 1
    assert count_portions(4, max_length=10**6) == 4


def test_only_rows_with_all_columns_and_no_empty_text_are_answered():
    rows = pl.DataFrame({"id": list("abcd"), "chosen": ["x", "", None, "x"], "rejected": ["y", "y", "y", None]})
    assert trainer.complete_rows(rows, "chosen", "rejected")["id"].to_list() == ["a"]
    assert trainer.complete_rows(rows, "rejected")["id"].to_list() == ["a", "b", "c"]
    with pytest.raises(DataError, match="chosen, rejected is null or empty in each of 3 rows"):
        trainer.complete_rows(rows.tail(3), "chosen", "rejected")


def test_a_curve_keeps_only_points_with_a_loss_and_a_loss_that_is_no_number_is_an_error():
    history = [{"step": 1, "loss": 2, "learning_rate": 0.1}, {"step": 1, "eval_time": 3}, {"step": 2, "loss": 1.5}]
    curve = trainer._training_curve(history, "sft")
    assert curve.rows() == [("step-000001", 1, 2.0, 0.1), ("step-000002", 2, 1.5, None)]
    assert trainer._training_curve(history, "dpo").columns == ["id", "step", "loss", "lr", "margin", "accuracy"]
    with pytest.raises(EngineError, match="not finite from step 3 on: lower lr"):
        trainer._training_curve([*history, {"step": 3, "loss": float("nan")}], "sft")
