"""Rows in the shape of each trainer, as a stream over a result's parts."""

from dataclasses import replace

import polars as pl
import pytest

from attar.core.table import COLUMNS, write_part
from attar.outputs.export.shapes import shape_rows
from attar.outputs.export.trainings import Training
from attar.stages.train.trainer import TrainingSettings


def user(text):
    return {"role": "user", "content": text}


def reply(text):
    return {"role": "assistant", "content": text}


def table(first, last, **columns):
    ids = [f"r{i}" for i in range(first, last)]
    talks = pl.Series([[user(f"ask {i}")] for i in range(first, last)], dtype=COLUMNS["messages"])
    return pl.DataFrame({"id": ids, "messages": talks, **columns})


@pytest.fixture
def training(tmp_path):
    """Pairs r0 to r3 in two parts; r1 has no rejected answer."""
    for first, rejected in ((0, ["no 0", None]), (2, ["no 2", "no 3"])):
        chosen = [f"yes {first}", f"yes {first + 1}"]
        write_part(table(first, first + 2, chosen=chosen, rejected=rejected), tmp_path / "rows", first, first + 2)
    settings = TrainingSettings(
        epochs=1.0, lr=1e-4, batch=2, accumulate=None, max_length=64, warmup=0.0, schedule="linear", seed=3
    )
    return Training("dpo", tmp_path / "rows", settings, {}, "some/model", "./pairs-model")


@pytest.mark.parametrize(
    ("form", "method", "row"),
    [
        ("trl", "dpo", {"prompt": [user("ask 0")], "chosen": [reply("yes 0")], "rejected": [reply("no 0")]}),
        ("axolotl", "dpo", {"messages": [user("ask 0")], "chosen": reply("yes 0"), "rejected": reply("no 0")}),
        ("llamafactory", "orpo", {"messages": [user("ask 0")], "chosen": reply("yes 0"), "rejected": reply("no 0")}),
        ("axolotl", "orpo", {"chosen": [user("ask 0"), reply("yes 0")], "rejected": [user("ask 0"), reply("no 0")]}),
    ],
)
def test_a_pair_has_the_shape_that_its_trainer_reads(training, form, method, row):
    assert next(shape_rows(form, replace(training, method=method))) == row


def test_the_rows_of_all_parts_come_in_their_order_and_half_a_pair_is_left_out(training):
    assert [row["prompt"][0]["content"] for row in shape_rows("trl", training)] == ["ask 0", "ask 2", "ask 3"]


def test_a_conversation_goes_out_as_it_is_and_without_an_answer_not_at_all(training, tmp_path):
    write_part(table(0, 3, response=["a", None, "c"]), tmp_path / "talks", 0, 3)
    talks = replace(training, method="sft", rows=tmp_path / "talks")
    for form in ("trl", "axolotl", "llamafactory"):
        assert list(shape_rows(form, talks)) == [{"messages": [user("ask 0")]}, {"messages": [user("ask 2")]}]


def test_labelled_answers_are_mixed_by_the_trainings_seed(training):
    def answers(seed):
        kto = replace(training, method="kto", settings=replace(training.settings, seed=seed))
        return [(row["completion"][0]["content"], row["label"]) for row in shape_rows("trl", kto)]

    assert sorted(answers(3)) == sorted((f"{word} {i}", word == "yes") for i in (0, 2, 3) for word in ("yes", "no"))
    assert answers(3) == answers(3)
    assert len({tuple(answers(seed)) for seed in range(8)}) > 1
