import math

import polars as pl
import pytest
import torch

from attar.core.errors import DataError, EngineError, RecipeError
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.stages.train import preference

TEACHER = Spec("local", "pocket:teacher", {"threads": 1})
KNOBS = {"lr": 2e-4, "batch": 16, "max_length": 128}


def likelihoods(folder, table):
    """Log-likelihood of chosen less that of rejected, row by row, worked out without any trainer."""
    engine = Local(Spec("local", str(folder)))
    model, tokenizer = engine.causal(), engine.tokenizer

    def of(turns, text):
        prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        answer = tokenizer.encode(text + "<|im_end|>", add_special_tokens=False)
        with torch.no_grad():
            logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        return logits.log_softmax(-1)[range(len(answer)), answer].sum().item()

    return [of(row["messages"], row["chosen"]) - of(row["messages"], row["rejected"]) for row in table.iter_rows(named=True)]


def test_each_method_starts_at_the_loss_that_its_formula_gives_for_a_model_equal_to_its_reference(pairs, tmp_path):
    formulas = {"dpo": math.log(2), "ipo": (1 / (2 * 0.02)) ** 2, "kto": 0.5}
    for method, loss in formulas.items():
        knobs = KNOBS | {"batch": 4, "beta": 0.02, "lr": 1e-9}
        curve = preference.train(pairs(4), engine=TEACHER, into=tmp_path / "model", method=method, **knobs)
        assert curve["loss"][0] == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("method", ["dpo", "ipo", "kto", "simpo", "orpo"])
def test_every_method_raises_the_lead_of_the_chosen_over_the_rejected(method, pairs, tmp_path):
    table = pairs(48)
    table = table.rename({"chosen": "rejected", "rejected": "chosen"})  # the wrong answers: a lead that was not there before
    own = {"lr": 1e-3} if method == "orpo" else {}
    curve = preference.train(table, engine=TEACHER, into=tmp_path / "model", method=method, **KNOBS | own)
    assert curve.columns == ["id", "step", "loss", "lr", "margin", "accuracy"]
    assert curve["step"].to_list() == list(range(1, (6 if method == "kto" else 3) + 1))  # of kto each answer is a row
    assert (curve["accuracy"].null_count() > 0) == (method == "kto")
    if method == "dpo":
        assert curve["margin"][0] == 0  # at first the model is its own reference
        assert curve["margin"].is_sorted()
        assert curve["margin"][-1] > 0
        assert curve["accuracy"][-1] > 0.5
    rows = table.head(16)
    before, after = likelihoods("pocket:teacher", rows), likelihoods(tmp_path / "model", rows)
    assert sum(after) / 16 > sum(before) / 16 + 1


@pytest.mark.parametrize("method", ["dpo", "simpo"])
def test_an_adapter_is_merged_into_a_normal_model(method, pairs, tmp_path):
    preference.train(
        pairs(16), engine=TEACHER, into=tmp_path / "model", method=method, lora=4, **KNOBS | {"lr": 1e-2, "epochs": 2}
    )
    before, after = Local(TEACHER).causal().state_dict(), Local(Spec("local", str(tmp_path / "model"))).causal().state_dict()
    assert before.keys() == after.keys()
    assert {name.split(".")[-2] for name in before if not (before[name] == after[name]).all()} >= {"q_proj", "down_proj"}


def test_a_model_may_be_trained_on_pairs_after_conversations(talks, pairs, tmp_path):
    from attar.stages.train import sft

    knobs = {"epochs": 1, "batch": 8, "max_length": 128}
    sft.train(talks(8), engine=Spec("local", "pocket:base"), into=tmp_path / "first" / "model", **knobs)
    first = Spec("local", str(tmp_path / "first" / "model"), {"threads": 1}, identity="the-step-before")
    assert preference.train(pairs(8), engine=first, into=tmp_path / "second" / "model", **knobs).height == 1


def test_rows_without_both_answers_are_left_out(pairs, tmp_path):
    table = pairs(3).with_columns(rejected=pl.lit(None, dtype=pl.String))
    with pytest.raises(DataError, match="no row to train on"):
        preference.train(table, engine=TEACHER, into=tmp_path / "model")


def test_messages_must_end_with_what_is_answered(talks, tmp_path):
    table = talks(3).with_columns(chosen=pl.lit("a"), rejected=pl.lit("b"))
    with pytest.raises(DataError, match=r"row 0: column 'messages' must end with the user's turn"):
        preference.train(table, engine=TEACHER, into=tmp_path / "model")


def test_an_unknown_method_is_named_with_the_nearest(pairs, tmp_path):
    with pytest.raises(RecipeError, match="did you mean 'dpo'"):
        preference.train(pairs(3), engine=TEACHER, into=tmp_path / "model", method="dpoo")


def test_a_base_that_was_never_tuned_to_talk_is_sent_to_tuning_first(pairs, tmp_path):
    import shutil

    from attar.engines.local.spec import POCKET

    folder = shutil.copytree(POCKET / "teacher", tmp_path / "bare")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(EngineError, match="train it on conversations first"):
        preference.train(pairs(3), engine=Spec("local", str(folder)), into=tmp_path / "model")
