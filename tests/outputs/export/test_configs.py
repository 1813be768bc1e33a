"""One training, as each trainer's configuration says it."""

from dataclasses import replace
from pathlib import Path

import pytest

from attar.core.errors import RecipeError
from attar.outputs.export import configs
from attar.outputs.export.trainings import Training
from attar.stages.train.trainer import TrainingSettings

SETTINGS = TrainingSettings(
    epochs=2.0, lr=1e-4, batch=6, accumulate=None, max_length=512, warmup=0.1, schedule="cosine", seed=3
)
SFT = Training("sft", Path("rows"), SETTINGS, {"packing": True, "template": None}, "some/model", "./sft-model")
BATCH = {
    configs.trl: "per_device_train_batch_size",
    configs.axolotl: "micro_batch_size",
    configs.llamafactory: "per_device_train_batch_size",
}
BY_NAME = pytest.mark.parametrize("write", BATCH, ids=lambda write: write.__name__)


def pairs(method, **knobs):
    return Training(method, Path("rows"), SETTINGS, {"beta": 0.2, "gamma": 0.5, **knobs}, "./sft-model", "./pairs-model")


@BY_NAME
def test_a_step_takes_as_many_rows_as_in_our_own_training(write):
    found = write(SFT)
    assert found[BATCH[write]] * found["gradient_accumulation_steps"] == 6
    assert found["gradient_accumulation_steps"] == 2  # three rows at once, twice


@BY_NAME
def test_an_adapter_is_only_there_where_the_training_had_one(write):
    def lora_lines(settings):
        found = write(replace(SFT, settings=settings))
        return [value for name, value in found.items() if "lora" in name or "adapter" in name]

    assert lora_lines(SETTINGS) == []
    assert [value for value in lora_lines(replace(SETTINGS, lora=8)) if value in (8, 16)] == [8, 16]  # its rank, its alpha


@pytest.mark.parametrize(("write", "method"), [(configs.trl, "orpo"), (configs.trl, "simpo"), (configs.axolotl, "kto")])
def test_a_method_that_a_trainer_lacks_is_refused_with_trainers_that_have_it(write, method):
    with pytest.raises(RecipeError, match=rf"{method}.*: export for \w+ or llamafactory instead"):
        write(pairs(method))
    assert configs.llamafactory(pairs(method))["pref_beta"] == 0.2


def test_a_template_of_ones_own_reaches_the_trainers_that_take_one():
    own = replace(SFT, method_knobs={"packing": False, "template": "mine.jinja"})
    assert configs.trl(own)["chat_template_path"] == "mine.jinja"
    assert (configs.axolotl(own)["chat_template"], configs.axolotl(own)["chat_template_jinja"]) == ("jinja", "mine.jinja")
    assert "chat_template_path" not in configs.trl(SFT)
    assert configs.axolotl(SFT)["chat_template"] == "tokenizer_default"


@pytest.mark.parametrize(
    ("training", "columns", "ranked"),
    [
        (SFT, {"messages"}, False),
        (pairs("kto"), {"messages", "kto_tag"}, False),
        (pairs("dpo"), {"messages", "chosen", "rejected"}, True),
    ],
)
def test_llama_factory_is_told_the_columns_of_a_file_and_whether_it_ranks(training, columns, ranked):
    entry = configs.dataset_info(training)
    assert entry["file_name"] == f"{training.name}.jsonl"
    assert set(entry["columns"]) == columns
    assert entry.get("ranking", False) == ranked
