"""Preference training on TRL: the chosen answer is made likelier than the rejected one.

Methods: `dpo` and `ipo` hold to the model that they start from; `kto` takes each answer for itself as good or bad; `simpo` and
`orpo` need no reference model. Loss lies on the two answers with their ends of turn. Start from a model that was tuned to talk.
"""

from pathlib import Path
from random import Random
from typing import Any, Literal

from attar.core.errors import DataError, EngineError, RecipeError, did_you_mean
from attar.core.stage import reads, trains
from attar.core.table import Table
from attar.engines.base import Spec
from attar.stages.train import distributed, loss_mask_check
from attar.stages.train.load_model import open_model
from attar.stages.train.trainer import BuiltTrainer, TrainerInputs, TrainingJob, TrainingSettings, complete_rows

BETAS = {"dpo": 0.01, "ipo": 0.01, "kto": 0.1, "simpo": 2.0, "orpo": 0.1}
"""The methods, and how strongly each holds back (or, of `simpo` and `orpo`, how much its preference weighs) by default."""
Method = Literal["dpo", "ipo", "kto", "simpo", "orpo"]


@trains(on="pairs")
@reads("messages", "chosen", "rejected")
def train(  # noqa: PLR0913 (what a trainer's user expects to set)
    table: Table,
    *,
    engine: Spec,
    into: Path,
    method: Method = "dpo",
    beta: float | None = None,
    gamma: float = 1.0,
    epochs: float = 1.0,
    lr: float = 5e-7,
    batch: int = 128,
    accumulate: int | None = None,
    max_length: int = 2048,
    warmup: float = 0.1,
    schedule: str = "cosine",
    lora: int | None = None,
    qlora: bool = False,
    seed: int = 0,
) -> Table:
    """messages, chosen, rejected -> the training curve (step, loss, lr, margin, accuracy), and the model in `into`."""
    if method not in BETAS:
        raise RecipeError(f"knob 'method' is {method!r}; {did_you_mean(method, BETAS)}")
    settings = TrainingSettings(epochs, lr, batch, accumulate, max_length, warmup, schedule, seed, lora, qlora)
    own = {"beta": BETAS[method] if beta is None else beta, "gamma": gamma}
    rows = complete_rows(table, "messages", "chosen", "rejected")
    if odd := next(
        (row for row in rows.iter_rows(named=True) if not row["messages"] or row["messages"][-1]["role"] != "user"), None
    ):
        raise DataError(f"row {odd['id']}: column 'messages' must end with the user's turn that chosen and rejected answer")
    return distributed.train(TrainingJob(method, engine, into, settings, own), rows, build_trainer)


def build_trainer(opened: TrainerInputs) -> BuiltTrainer:
    """TRL's trainer of the method, on the pairs."""
    if opened.tokenizer.chat_template is None:
        raise EngineError(f"{opened.job.engine.model} has no chat template: train it on conversations first (train.sft)")
    match opened.job.method:
        case "dpo" | "ipo":
            return _build_dpo(opened)
        case "kto":
            return _build_kto(opened)
        case _:
            return _build_reference_free(opened)


def _build_dpo(opened: TrainerInputs) -> BuiltTrainer:
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    loss = {"dpo": "sigmoid", "ipo": "ipo"}[opened.job.method]
    rows = [
        {"prompt": row["messages"], "chosen": [_assistant_turn(row["chosen"])], "rejected": [_assistant_turn(row["rejected"])]}
        for row in opened.rows.iter_rows(named=True)
    ]
    config = DPOConfig(**opened.arguments, beta=opened.job.method_knobs["beta"], loss_type=[loss])
    built = DPOTrainer(args=config, ref_model=_reference_model(opened), **_shared_arguments(opened, rows))
    found = []
    for at in loss_mask_check.sample_indices(len(built.train_dataset)):
        row = built.train_dataset[at]
        batch = built.data_collator([{name: row[name] for name in ("prompt_ids", "chosen_ids", "rejected_ids")}])
        for side, name in enumerate(("chosen", "rejected")):
            there = batch["attention_mask"][side].bool()
            ids, bears = batch["input_ids"][side][there], batch["completion_mask"][side][there]
            found.append(_document(opened, ids, bears, row["prompt"], row[name][0]["content"]))
    return BuiltTrainer(built, found)


def _build_kto(opened: TrainerInputs) -> BuiltTrainer:
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.kto_trainer import KTOTrainer

    rows = [
        {"prompt": row["messages"], "completion": [_assistant_turn(row[side])], "label": side == "chosen"}
        for row in opened.rows.iter_rows(named=True)
        for side in ("chosen", "rejected")
    ]
    Random(opened.job.settings.seed).shuffle(rows)  # the trainer takes them in their order, for its estimate of the divergence
    built = KTOTrainer(
        args=KTOConfig(**opened.arguments, beta=opened.job.method_knobs["beta"]),
        ref_model=_reference_model(opened),
        **_shared_arguments(opened, rows),
    )
    found = []
    for at in loss_mask_check.sample_indices(len(built.train_dataset)):
        row = built.train_dataset[at]
        batch = built.data_collator([{name: row[name] for name in ("prompt_ids", "completion_ids", "label")}])
        ids, bears = batch["input_ids"][0], batch["completion_mask"][0]
        found.append(_document(opened, ids, bears, row["prompt"], row["completion"][0]["content"]))
    return BuiltTrainer(built, found)


def _build_reference_free(opened: TrainerInputs) -> BuiltTrainer:
    """The methods without a reference, whose trainers take texts: rendered here, and cut right after the end of the turn."""
    own, rows = opened.job.method_knobs, _render_pairs(opened)
    given: dict[str, Any] = {**opened.arguments, "beta": own["beta"], "remove_unused_columns": False}
    if opened.job.method == "simpo":
        from trl.experimental.cpo import CPOConfig, CPOTrainer

        config = CPOConfig(**given, loss_type="simpo", cpo_alpha=0.0, simpo_gamma=own["gamma"])
        built: Any = CPOTrainer(args=config, **_shared_arguments(opened, rows))
    else:
        from trl.experimental.orpo import ORPOConfig, ORPOTrainer

        built = ORPOTrainer(args=ORPOConfig(**given), **_shared_arguments(opened, rows))
    turns = opened.rows["messages"].to_list()
    found = []
    for at in loss_mask_check.sample_indices(len(built.train_dataset)):
        batch = built.data_collator([built.train_dataset[at]])
        for name in ("chosen", "rejected"):
            bears = batch[f"{name}_labels"][0] != -100
            found.append(_document(opened, batch[f"{name}_input_ids"][0], bears, turns[at], opened.rows[name][at]))
    return BuiltTrainer(built, found)


def _render_pairs(opened: TrainerInputs) -> list[dict[str, str]]:
    render, rows = opened.tokenizer.apply_chat_template, []
    for row in opened.rows.iter_rows(named=True):
        made = {"prompt": render(row["messages"], tokenize=False, add_generation_prompt=True)}
        for name in ("chosen", "rejected"):
            whole = render([*row["messages"], _assistant_turn(row[name])], tokenize=False)
            if not whole.startswith(made["prompt"]):
                raise EngineError(
                    f"{opened.job.engine.model}: its chat template renders a prompt alone otherwise than answered"
                )
            made[name] = whole.removeprefix(made["prompt"]).rstrip()
        rows.append(made)
    return rows


def _reference_model(opened: TrainerInputs) -> Any:
    """The model as it is before training; None where that is the model without its adapter."""
    return None if opened.peft_config else open_model(opened.job.engine, lora=None, qlora=False, rank=opened.rank)


def _shared_arguments(opened: TrainerInputs, rows: list[dict[str, Any]]) -> dict[str, Any]:
    from datasets import Dataset

    return {
        "model": opened.model,
        "train_dataset": Dataset.from_list(rows),
        "processing_class": opened.tokenizer,
        "peft_config": opened.peft_config,
    }


def _assistant_turn(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _document(opened: TrainerInputs, ids: Any, bears: Any, turns: list[Any], answer: str) -> loss_mask_check.Document:
    tokens = ids.tolist()
    return loss_mask_check.Document(
        tokens, bears.bool().tolist(), turns, [answer], len(tokens) >= opened.job.settings.max_length
    )
