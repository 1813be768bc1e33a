"""One training, whichever its method: open, build the trainer, check the boundary, go on from a checkpoint, train, save.

What comes out is a normal model folder: whole weights as safetensors (an adapter is merged into its base), tokenizer, template,
and a generation config that stops where the assistant's turn ends. A stopped training goes on from its last checkpoint.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.errors import DataError, EngineError, MissingExtraError, RecipeError
from attar.core.table import Table
from attar.engines.base import Spec
from attar.stages.train import checkpoints, loss_mask_check
from attar.stages.train.load_model import adapter, base_of, open_model, open_tokenizer

_TOKENS_AT_ONCE = 32_768
"""On a GPU a step's rows are taken in portions of at most so many tokens, unless `accumulate` says."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What all methods are set by."""

    epochs: float
    lr: float
    batch: int
    """Rows of one step, over all devices."""
    accumulate: int | None
    max_length: int
    warmup: float
    """A share of all steps below 1, a number of steps from 1 on."""
    schedule: str
    seed: int
    lora: int | None = None
    qlora: bool = False

    def __post_init__(self) -> None:
        if self.epochs <= 0 or self.batch < 1 or self.max_length < 1 or self.warmup < 0 or (self.accumulate or 1) < 1:
            raise RecipeError(
                f"epochs {self.epochs}, batch {self.batch}, max_length {self.max_length}, warmup {self.warmup}, accumulate "
                f"{self.accumulate}: epochs is above nought, warmup is nought or more, the others are 1 or more"
            )


@dataclass(frozen=True, slots=True)
class Job:
    """One training as plain data."""

    method: str
    engine: Spec
    into: Path
    settings: Settings
    own: Mapping[str, Any]
    """The method's own knobs."""

    @property
    def workplace(self) -> Path:
        """Where its checkpoints lie."""
        return self.into.parent / "trainer"


@dataclass(frozen=True, slots=True)
class Opened:
    """What a method builds its trainer from."""

    job: Job
    rows: Table
    model: Any
    tokenizer: Any
    adapter: Any
    """A LoRA configuration, or None."""
    arguments: Mapping[str, Any]
    """Arguments that all trainers take."""
    rank: int | None = None
    """This process's place among many."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A trainer, and rows of it to read back."""

    trainer: Any
    documents: list[loss_mask_check.Document]
    template: str | None = None
    """The template it renders with, where that is not the tokenizer's own."""


Build = Callable[[Opened], Ready]


def fit(job: Job, rows: Table, build: Build, rank: int | None = None, processes: int = 1) -> Table:
    """Train in this process, the only one or one of many; the curve."""
    try:
        import datasets
        import torch
        import transformers
        import trl.trainer  # noqa: F401 (here, so that a missing library is told as such)
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
    arguments = _arguments(job, processes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries, about one another
        try:
            ready = build(Opened(job, rows, model, tokenizer, adapter(lora), arguments, rank))
        except (ValueError, RuntimeError) as error:  # such as a template that does not mark the assistant's turns
            raise EngineError(f"{job.engine.model} cannot be trained on conversations: {error}") from error
        end = loss_mask_check.check(ready.documents, tokenizer, ready.template, job.engine.model)
        _train(ready.trainer, job)
        _save(ready.trainer, job, tokenizer, end)
    return _curve(ready.trainer.state.log_history, job.method)


def answered(table: Table, *columns: str) -> Table:
    """The rows that have all of these columns, and no empty text; none at all is an error."""
    texts = [column for column in columns if table[column].dtype == pl.String]
    rows = table.filter(
        pl.all_horizontal(pl.col(column).is_not_null() for column in columns),
        pl.all_horizontal(pl.lit(True), *(pl.col(column) != "" for column in texts)),
    )
    if rows.is_empty():
        raise DataError(
            f"there is no answered row to train on: {', '.join(columns)} is null or empty in each of {len(table)} rows"
        )
    return rows


def _arguments(job: Job, processes: int) -> dict[str, Any]:
    import torch

    settings, on_cpu = job.settings, job.engine.options.get("device") == "cpu" or not torch.cuda.is_available()
    accumulate = settings.accumulate or _portions(settings, processes, on_cpu)
    if settings.batch % (accumulate * processes):
        raise RecipeError(
            f"a batch of {settings.batch} rows cannot be shared out evenly: {processes} devices, {accumulate} portions each"
        )
    return {
        "output_dir": str(job.workplace),
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


def _portions(settings: Settings, processes: int, on_cpu: bool) -> int:
    """The fewest portions of a batch that hold to `_TOKENS_AT_ONCE`, and that share it out evenly."""
    own = settings.batch // processes
    if on_cpu or own == 0:
        return 1
    at_once = max(1, _TOKENS_AT_ONCE // settings.max_length)
    return next(portions for portions in range(math.ceil(own / at_once), own + 1) if own % portions == 0)


def _train(trainer: Any, job: Job) -> None:
    import torch
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    if trainer.args.n_gpu > 1:  # several are visible and none was asked for: the first, for trainers refuse to share a process
        trainer.args._n_gpu = 1
    steps = math.ceil(len(trainer.get_train_dataloader()) * job.settings.epochs / trainer.args.gradient_accumulation_steps)
    each = trainer.args.logging_steps = 10 if steps >= 10 else 1
    # at a point of the curve, so that one who goes on from there draws the same curve
    trainer.args.save_steps = each * max(1, math.ceil(steps * checkpoints.SHARE / each))
    found = checkpoints.last(job.workplace)
    try:
        trainer.train(resume_from_checkpoint=str(found) if found else None)
    except torch.OutOfMemoryError as error:
        raise EngineError(
            f"{job.engine.model} does not fit: raise accumulate (now {trainer.args.gradient_accumulation_steps})"
            ", lower max_length, train an adapter (lora: 16), or share it out (gpus: 8 with an accelerate config for FSDP)"
        ) from error


def _save(trainer: Any, job: Job, tokenizer: Any, end: int | None) -> None:
    model = trainer.accelerator.unwrap_model(trainer.model)
    if trainer.is_fsdp_enabled:
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    if job.settings.lora is None:
        _stop_at(model, end)
        trainer.save_model(str(job.into))
    else:
        trainer.save_model(str(job.workplace / "adapter"))
        if trainer.is_world_process_zero():
            _merged(job, end).save_pretrained(str(job.into))
    if trainer.is_world_process_zero():
        tokenizer.save_pretrained(str(job.into))
        (job.into / "training_args.bin").unlink(missing_ok=True)  # a pickle: nobody should have to open one
        if not list(job.into.glob("*.safetensors")):
            raise EngineError(f"{job.engine.model} was trained, but its weights were not gathered: see the accelerate config")


def _merged(job: Job, end: int | None) -> Any:
    """The base with the trained adapter in it."""
    from peft import PeftModel

    base = base_of(Spec(job.engine.kind, job.engine.model, {**job.engine.options, "device": "cpu"}, job.engine.identity))
    model = base.causal()
    _stop_at(model, end)
    return PeftModel.from_pretrained(model, str(job.workplace / "adapter")).merge_and_unload()


def _stop_at(model: Any, end: int | None) -> None:
    """Have the model stop at the end of the assistant's turn, where its generation config does not say so yet."""
    config = model.generation_config
    known = config.eos_token_id if isinstance(config.eos_token_id, list) else [config.eos_token_id]
    if end is not None and end not in known:
        config.eos_token_id = [end, *(token for token in known if token is not None)]


def _curve(history: list[dict[str, Any]], method: str) -> Table:
    points = [entry for entry in history if "loss" in entry]
    columns = {"loss": "loss", "lr": "learning_rate"}
    if method != "sft":
        columns |= {"margin": "rewards/margins", "accuracy": "rewards/accuracies"}
    curve = pl.DataFrame(
        {"id": [f"step-{entry['step']:06d}" for entry in points], "step": [entry["step"] for entry in points]}
        | {name: [_number(entry.get(key)) for entry in points] for name, key in columns.items()},
        schema={"id": pl.String, "step": pl.Int64, **dict.fromkeys(columns, pl.Float64)},
    )
    if not curve["loss"].is_finite().all():
        raise EngineError(
            f"the loss is no number from step {curve.filter(~pl.col('loss').is_finite())['step'][0]} on: lower lr"
        )
    return curve


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
