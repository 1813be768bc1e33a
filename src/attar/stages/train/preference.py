"""Preference training with TRL: make the chosen answer likelier than the rejected one.

Methods: `dpo` and `ipo` regularise toward a reference model, the one that training starts from; `kto` labels each answer by
itself as good or bad; `simpo` and `orpo` need no reference model. The loss covers the two answers and their end-of-turn tokens.
Start from a model that was tuned on conversations.
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
"""Each method's default beta: the strength of its regularisation (`simpo`, `orpo`: the weight of its preference term)."""
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
    settings = TrainingSettings.from_knobs(locals())
    method_knobs = {"beta": BETAS[method] if beta is None else beta, "gamma": gamma}
    rows = complete_rows(table, "messages", "chosen", "rejected")
    if wrong := next(
        (row for row in rows.iter_rows(named=True) if not row["messages"] or row["messages"][-1]["role"] != "user"), None
    ):
        raise DataError(f"row {wrong['id']}: column 'messages' must end with the user's turn that chosen and rejected answer")
    return distributed.train(TrainingJob(method, engine, into, settings, method_knobs), rows, build_trainer)


def build_trainer(inputs: TrainerInputs) -> BuiltTrainer:
    """Build TRL's trainer of the method on the pairs."""
    if inputs.tokenizer.chat_template is None:
        raise EngineError(f"{inputs.job.engine.model} has no chat template: train it on conversations first (train.sft)")
    match inputs.job.method:
        case "dpo" | "ipo":
            return _build_dpo(inputs)
        case "kto":
            return _build_kto(inputs)
        case _:
            return _build_reference_free(inputs)


def _build_dpo(inputs: TrainerInputs) -> BuiltTrainer:
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    loss = {"dpo": "sigmoid", "ipo": "ipo"}[inputs.job.method]
    rows = [
        {"prompt": row["messages"], "chosen": [_assistant_turn(row["chosen"])], "rejected": [_assistant_turn(row["rejected"])]}
        for row in inputs.rows.iter_rows(named=True)
    ]
    config = DPOConfig(**inputs.arguments, beta=inputs.job.method_knobs["beta"], loss_type=[loss])
    trainer = DPOTrainer(args=config, ref_model=_reference_model(inputs), **_shared_arguments(inputs, rows))
    documents = []
    for i in loss_mask_check.sample_indices(len(trainer.train_dataset)):
        row = trainer.train_dataset[i]
        batch = trainer.data_collator([{name: row[name] for name in ("prompt_ids", "chosen_ids", "rejected_ids")}])
        for side, name in enumerate(("chosen", "rejected")):
            unpadded = batch["attention_mask"][side].bool()
            ids, in_loss = batch["input_ids"][side][unpadded], batch["completion_mask"][side][unpadded]
            documents.append(_document(inputs, ids, in_loss, row["prompt"], row[name][0]["content"]))
    return BuiltTrainer(trainer, documents)


def _build_kto(inputs: TrainerInputs) -> BuiltTrainer:
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.kto_trainer import KTOTrainer

    rows = [
        {"prompt": row["messages"], "completion": [_assistant_turn(row[side])], "label": side == "chosen"}
        for row in inputs.rows.iter_rows(named=True)
        for side in ("chosen", "rejected")
    ]
    Random(inputs.job.settings.seed).shuffle(rows)  # the trainer keeps their order and estimates the KL divergence per batch
    trainer = KTOTrainer(
        args=KTOConfig(**inputs.arguments, beta=inputs.job.method_knobs["beta"]),
        ref_model=_reference_model(inputs),
        **_shared_arguments(inputs, rows),
    )
    documents = []
    for i in loss_mask_check.sample_indices(len(trainer.train_dataset)):
        row = trainer.train_dataset[i]
        batch = trainer.data_collator([{name: row[name] for name in ("prompt_ids", "completion_ids", "label")}])
        ids, in_loss = batch["input_ids"][0], batch["completion_mask"][0]
        documents.append(_document(inputs, ids, in_loss, row["prompt"], row["completion"][0]["content"]))
    return BuiltTrainer(trainer, documents)


def _build_reference_free(inputs: TrainerInputs) -> BuiltTrainer:
    """SimPO and ORPO, whose trainers take plain texts: they are rendered here and end right after the end-of-turn token."""
    knobs, rows = inputs.job.method_knobs, _render_pairs(inputs)
    arguments: dict[str, Any] = {**inputs.arguments, "beta": knobs["beta"], "remove_unused_columns": False}
    if inputs.job.method == "simpo":
        from trl.experimental.cpo import CPOConfig, CPOTrainer

        config = CPOConfig(**arguments, loss_type="simpo", cpo_alpha=0.0, simpo_gamma=knobs["gamma"])
        trainer: Any = CPOTrainer(args=config, **_shared_arguments(inputs, rows))
    else:
        from trl.experimental.orpo import ORPOConfig, ORPOTrainer

        trainer = ORPOTrainer(args=ORPOConfig(**arguments), **_shared_arguments(inputs, rows))
    turns = inputs.rows["messages"].to_list()
    documents = []
    for i in loss_mask_check.sample_indices(len(trainer.train_dataset)):
        batch = trainer.data_collator([trainer.train_dataset[i]])
        for name in ("chosen", "rejected"):
            in_loss = batch[f"{name}_labels"][0] != -100
            documents.append(_document(inputs, batch[f"{name}_input_ids"][0], in_loss, turns[i], inputs.rows[name][i]))
    return BuiltTrainer(trainer, documents)


def _render_pairs(inputs: TrainerInputs) -> list[dict[str, str]]:
    render, rows = inputs.tokenizer.apply_chat_template, []
    for row in inputs.rows.iter_rows(named=True):
        pair = {"prompt": render(row["messages"], tokenize=False, add_generation_prompt=True)}
        for name in ("chosen", "rejected"):
            full = render([*row["messages"], _assistant_turn(row[name])], tokenize=False)
            if not full.startswith(pair["prompt"]):
                raise EngineError(
                    f"{inputs.job.engine.model}: its chat template renders a prompt differently once an answer follows"
                )
            pair[name] = full.removeprefix(pair["prompt"]).rstrip()
        rows.append(pair)
    return rows


def _reference_model(inputs: TrainerInputs) -> Any:
    """The model before training; None with an adapter, where TRL disables the adapter instead."""
    return None if inputs.peft_config else open_model(inputs.job.engine, lora=None, qlora=False, rank=inputs.rank)


def _shared_arguments(inputs: TrainerInputs, rows: list[dict[str, Any]]) -> dict[str, Any]:
    from datasets import Dataset

    return {
        "model": inputs.model,
        "train_dataset": Dataset.from_list(rows),
        "processing_class": inputs.tokenizer,
        "peft_config": inputs.peft_config,
    }


def _assistant_turn(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _document(inputs: TrainerInputs, ids: Any, in_loss: Any, turns: list[Any], answer: str) -> loss_mask_check.Document:
    tokens = ids.tolist()
    return loss_mask_check.Document(
        tokens, in_loss.bool().tolist(), turns, [answer], len(tokens) >= inputs.job.settings.max_length
    )
