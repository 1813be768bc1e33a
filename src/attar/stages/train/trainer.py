"""Run one training, for any method: open the model, build the trainer, check the loss mask, train, save.

The result is a normal model folder: full weights as safetensors (an adapter is merged into its base), the tokenizer, the chat
template, and a generation config that stops at the end of the assistant's turn. An interrupted training resumes from its last
checkpoint.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import polars as pl

from attar.core.errors import DataError, EngineError, MissingExtraError, RecipeError
from attar.core.table import Table
from attar.engines.base import Spec
from attar.stages.train import checkpoints, loss_mask_check
from attar.stages.train.load_model import base_of, lora_config, open_model, open_tokenizer

_MICROBATCH_TOKENS = 32_768
"""Without `accumulate`, a batch on a GPU is split into microbatches of at most this many tokens."""


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """The knobs that all training stages share, under the same names."""

    epochs: float
    lr: float
    batch: int
    """Rows per optimizer step, over all devices."""
    accumulate: int | None
    max_length: int
    warmup: float
    """Below 1 a share of all steps, from 1 on a number of steps."""
    schedule: str
    seed: int
    lora: int | None = None
    qlora: bool = False

    @classmethod
    def from_knobs(cls, knobs: Mapping[str, Any]) -> Self:
        """The settings among a stage's keyword arguments; a stage passes its `locals()`."""
        return cls(**{field.name: knobs[field.name] for field in fields(cls)})

    def __post_init__(self) -> None:
        if self.epochs <= 0 or self.batch < 1 or self.max_length < 1 or self.warmup < 0 or (self.accumulate or 1) < 1:
            raise RecipeError(
                "epochs must be > 0, warmup >= 0, and batch, max_length and accumulate >= 1, got "
                f"epochs {self.epochs}, warmup {self.warmup}, batch {self.batch}, max_length {self.max_length}, "
                f"accumulate {self.accumulate}"
            )


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """One training as plain data."""

    method: str
    engine: Spec
    into: Path
    settings: TrainingSettings
    method_knobs: Mapping[str, Any]
    """The knobs that only this method has."""

    @property
    def work_folder(self) -> Path:
        """The folder of its checkpoints and temporary files."""
        return self.into.parent / "trainer"


@dataclass(frozen=True, slots=True)
class TrainerInputs:
    """What a method needs to build its trainer."""

    job: TrainingJob
    rows: Table
    model: Any
    tokenizer: Any
    peft_config: Any
    """A LoRA configuration, or None."""
    arguments: Mapping[str, Any]
    """Configuration arguments that all TRL trainers take."""
    rank: int | None = None
    """The local rank of this process; None in a single process."""


@dataclass(frozen=True, slots=True)
class BuiltTrainer:
    """A trainer, and some of its rows for the loss mask check."""

    trainer: Any
    documents: list[loss_mask_check.Document]
    template: str | None = None
    """The chat template it renders with, if that is not the tokenizer's own."""


TrainerBuilder = Callable[[TrainerInputs], BuiltTrainer]


def fit(job: TrainingJob, rows: Table, build: TrainerBuilder, rank: int | None = None, processes: int = 1) -> Table:
    """Train in this process, which may be one of several; returns the training curve."""
    try:
        import datasets
        import torch
        import transformers
        import trl.trainer  # noqa: F401 (here, so that a missing library is reported as such)
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "train") from error
    transformers.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    transformers.set_seed(job.settings.seed)
    if threads := job.engine.options.get("threads"):
        torch.set_num_threads(threads)
    tokenizer = open_tokenizer(job.engine)
    lora, qlora = job.settings.lora, job.settings.qlora
    model = open_model(job.engine, lora=lora, qlora=qlora, rank=rank)
    arguments = _trainer_arguments(job, processes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libraries warn about one another
        try:
            built = build(TrainerInputs(job, rows, model, tokenizer, lora_config(lora), arguments, rank))
        except (ValueError, RuntimeError) as error:  # such as a template that does not mark the assistant's turns
            raise EngineError(f"{job.engine.model} cannot be trained on conversations: {error}") from error
        stop_token = loss_mask_check.check(built.documents, tokenizer, built.template, job.engine.model)
        _run_trainer(built.trainer, job)
        _save_model(built.trainer, job, tokenizer, stop_token)
    return _training_curve(built.trainer.state.log_history, job.method)


def complete_rows(table: Table, *columns: str) -> Table:
    """The rows in which none of these columns is null or an empty text; it is an error if there are none."""
    texts = [column for column in columns if table[column].dtype == pl.String]
    rows = table.filter(
        pl.all_horizontal(pl.col(column).is_not_null() for column in columns),
        pl.all_horizontal(pl.lit(True), *(pl.col(column) != "" for column in texts)),
    )
    if rows.is_empty():
        raise DataError(f"no row to train on: {', '.join(columns)} is null or empty in each of {len(table)} rows")
    return rows


def _trainer_arguments(job: TrainingJob, processes: int) -> dict[str, Any]:
    import torch

    settings, on_cpu = job.settings, job.engine.options.get("device") == "cpu" or not torch.cuda.is_available()
    accumulate = settings.accumulate or _accumulation_steps(settings, processes, on_cpu)
    if settings.batch % (accumulate * processes):
        raise RecipeError(
            f"batch size {settings.batch} is not divisible by devices x accumulation steps ({processes} x {accumulate})"
        )
    return {
        "output_dir": str(job.work_folder),
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.lr,
        "per_device_train_batch_size": settings.batch // (accumulate * processes),
        "gradient_accumulation_steps": accumulate,
        "max_length": settings.max_length,
        "warmup_steps": settings.warmup,
        "lr_scheduler_type": settings.schedule,
        "activation_checkpointing": not on_cpu,
        "bf16": not on_cpu and torch.cuda.is_bf16_supported(),
        "use_cpu": job.engine.options.get("device") == "cpu",
        "seed": settings.seed,
        "logging_steps": 10,
        "save_strategy": "steps",
        "save_total_limit": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }


def _accumulation_steps(settings: TrainingSettings, processes: int, on_cpu: bool) -> int:
    """The fewest steps that split a device's batch evenly into microbatches of at most `_MICROBATCH_TOKENS` tokens."""
    device_batch = settings.batch // processes
    if on_cpu or device_batch == 0:
        return 1
    microbatch = max(1, _MICROBATCH_TOKENS // settings.max_length)
    return next(steps for steps in range(math.ceil(device_batch / microbatch), device_batch + 1) if device_batch % steps == 0)


def _run_trainer(trainer: Any, job: TrainingJob) -> None:
    import torch
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    if trainer.args.n_gpu > 1:  # several GPUs are visible and `gpus` is not set: use the first, no DataParallel
        trainer.args._n_gpu = 1
    steps = math.ceil(len(trainer.get_train_dataloader()) * job.settings.epochs / trainer.args.gradient_accumulation_steps)
    log_interval = 10 if steps >= 10 else 1
    trainer.args.logging_steps = log_interval
    # a multiple of the logging interval, so that a resumed training logs the same curve
    trainer.args.save_steps = log_interval * max(1, math.ceil(steps * checkpoints.SAVE_INTERVAL / log_interval))
    checkpoint = checkpoints.last_checkpoint(job.work_folder)
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except torch.OutOfMemoryError as error:
        raise EngineError(
            f"{job.engine.model} does not fit into GPU memory: raise accumulate "
            f"(now {trainer.args.gradient_accumulation_steps}), lower max_length, "
            "train an adapter (lora: 16), or shard it (gpus: 8 with an accelerate config for FSDP)"
        ) from error


def _save_model(trainer: Any, job: TrainingJob, tokenizer: Any, stop_token: int | None) -> None:
    model = trainer.accelerator.unwrap_model(trainer.model)
    if trainer.is_fsdp_enabled:
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    if job.settings.lora is None:
        _add_stop_token(model, stop_token)
        trainer.save_model(str(job.into))
    else:
        trainer.save_model(str(job.work_folder / "adapter"))
        if trainer.is_world_process_zero():
            _merge_adapter(job, stop_token).save_pretrained(str(job.into))
    if trainer.is_world_process_zero():
        tokenizer.save_pretrained(str(job.into))
        (job.into / "training_args.bin").unlink(missing_ok=True)  # a pickle, which is unsafe to open
        if not list(job.into.glob("*.safetensors")):
            raise EngineError(f"{job.engine.model} was trained, but its weights were not gathered: see the accelerate config")


def _merge_adapter(job: TrainingJob, stop_token: int | None) -> Any:
    """The base model with the trained adapter merged into its weights."""
    from peft import PeftModel

    base = base_of(Spec(job.engine.kind, job.engine.model, {**job.engine.options, "device": "cpu"}, job.engine.identity))
    model = base.causal()
    _add_stop_token(model, stop_token)
    return PeftModel.from_pretrained(model, str(job.work_folder / "adapter")).merge_and_unload()


def _add_stop_token(model: Any, stop_token: int | None) -> None:
    """Make generation stop at the end of the assistant's turn, if the generation config does not do so yet."""
    config = model.generation_config
    stop_tokens = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    if stop_token is not None and stop_token not in stop_tokens:
        config.eos_token_id = [stop_token, *(token for token in stop_tokens if token is not None)]


def _training_curve(history: list[dict[str, Any]], method: str) -> Table:
    points = [entry for entry in history if "loss" in entry]
    columns = {"loss": "loss", "lr": "learning_rate"}
    if method != "sft":
        columns |= {"margin": "rewards/margins", "accuracy": "rewards/accuracies"}
    curve = pl.DataFrame(
        {"id": [f"step-{entry['step']:06d}" for entry in points], "step": [entry["step"] for entry in points]}
        | {name: [_float_or_none(entry.get(key)) for entry in points] for name, key in columns.items()},
        schema={"id": pl.String, "step": pl.Int64, **dict.fromkeys(columns, pl.Float64)},
    )
    if not curve["loss"].is_finite().all():
        raise EngineError(
            f"the loss is not finite from step {curve.filter(~pl.col('loss').is_finite())['step'][0]} on: lower lr"
        )
    return curve


def _float_or_none(value: Any) -> float | None:
    return None if value is None else float(value)
