"""Supervised fine-tuning on TRL, with the loss on what the assistant says and nowhere else."""

from pathlib import Path
from typing import Any

import polars as pl

from attar.engines.base import Spec
from attar.errors import DataError, EngineError, MissingExtraError
from attar.stage import reads, trains
from attar.table import Table


@trains
@reads("messages", "response")
def train(  # noqa: PLR0913 (what a trainer's user expects to set)
    table: Table,
    *,
    engine: Spec,
    into: Path,
    epochs: float = 2.0,
    lr: float = 2e-5,
    batch: int = 32,
    accumulate: int = 1,
    max_length: int = 8192,
    packing: bool = False,
    warmup: float = 0.03,
    schedule: str = "cosine",
    seed: int = 0,
) -> Table:
    """messages, response -> the training curve (step, loss, lr), and the model in `into`."""
    try:
        import datasets
        import torch
        import transformers
        from trl.trainer.sft_config import SFTConfig
        from trl.trainer.sft_trainer import SFTTrainer
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "train") from error
    rows = table.filter(pl.col("response").is_not_null())
    if rows.is_empty():
        raise DataError("there is no answered row to train on")
    transformers.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    transformers.set_seed(seed)
    if threads := engine.options.get("threads"):
        torch.set_num_threads(threads)
    model, tokenizer = _open(engine)
    config = SFTConfig(
        output_dir=str(into.parent / "trainer"),
        num_train_epochs=epochs,
        learning_rate=lr,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulate,
        max_length=max_length,
        packing=packing,
        warmup_steps=warmup,
        lr_scheduler_type=schedule,
        assistant_only_loss=True,
        activation_checkpointing=torch.cuda.is_available(),
        bf16=torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
        seed=seed,
        logging_steps=10,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    data = datasets.Dataset.from_list([{"messages": talk} for talk in rows["messages"].to_list()])
    try:
        trainer = SFTTrainer(model=model, args=config, train_dataset=data, processing_class=tokenizer)
    except ValueError as error:  # of a template that does not mark the assistant's turns, and that TRL cannot mend
        raise EngineError(f"{engine.model} cannot be trained on conversations: {error}") from error
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    trainer.save_model(str(into))
    tokenizer.save_pretrained(str(into))
    return _curve(trainer.state.log_history)


def _open(engine: Spec) -> tuple[Any, Any]:
    """The base to train, in full precision, and its tokenizer."""
    from attar.engines.local import Local

    local = Local(Spec(engine.kind, engine.model, {**engine.options, "dtype": "float32"}, engine.identity))
    return local.causal(), local.tokenizer


def _curve(history: list[dict[str, Any]]) -> Table:
    points = [entry for entry in history if "loss" in entry]
    return pl.DataFrame(
        {
            "id": [f"step-{entry['step']:06d}" for entry in points],
            "step": [entry["step"] for entry in points],
            "loss": [float(entry["loss"]) for entry in points],
            "lr": [float(entry["learning_rate"]) for entry in points],
        }
    )
