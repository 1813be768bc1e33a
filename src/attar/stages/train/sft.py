"""Supervised fine-tuning on TRL, with the loss on what the assistant says and nowhere else."""

from pathlib import Path
from typing import Any

from attar.core.errors import EngineError
from attar.core.stage import reads, trains
from attar.core.table import Table
from attar.engines.base import Spec
from attar.stages.train import distributed, loss_mask_check
from attar.stages.train.trainer import BuiltTrainer, TrainerInputs, TrainingJob, TrainingSettings, complete_rows


@trains(on="answers")
@reads("messages", "response")
def train(  # noqa: PLR0913 (what a trainer's user expects to set)
    table: Table,
    *,
    engine: Spec,
    into: Path,
    epochs: float = 2.0,
    lr: float = 2e-5,
    batch: int = 32,
    accumulate: int | None = None,
    max_length: int = 8192,
    packing: bool = False,
    warmup: float = 0.03,
    schedule: str = "cosine",
    template: str | None = None,
    lora: int | None = None,
    qlora: bool = False,
    seed: int = 0,
) -> Table:
    """messages, response -> the training curve (step, loss, lr), and the model in `into`."""
    settings = TrainingSettings(epochs, lr, batch, accumulate, max_length, warmup, schedule, seed, lora, qlora)
    job = TrainingJob("sft", engine, into, settings, {"packing": packing, "template": template})
    return distributed.train(job, complete_rows(table, "response").select("id", "messages"), build_trainer)


def build_trainer(opened: TrainerInputs) -> BuiltTrainer:
    """TRL's trainer on the conversations."""
    from datasets import Dataset
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    own, tokenizer = opened.job.method_knobs, opened.tokenizer
    if own["template"] is None and tokenizer.chat_template is None:
        raise EngineError(
            f"{opened.job.engine.model} has no chat template, as base models often have none: name one with the knob "
            "'template', a .jinja file or a model whose template to take"
        )
    config = SFTConfig(**opened.arguments, packing=own["packing"], chat_template_path=own["template"], assistant_only_loss=True)
    built = SFTTrainer(
        model=opened.model,
        args=config,
        train_dataset=Dataset.from_list([{"messages": talk} for talk in opened.rows["messages"].to_list()]),
        processing_class=tokenizer,
        peft_config=opened.peft_config,
    )
    return BuiltTrainer(built, _documents(built, opened), built.chat_template)


def _documents(built: Any, opened: TrainerInputs) -> list[loss_mask_check.Document]:
    """Rows as the collator makes them; packed ones are taken from before they were packed."""
    rows = built.train_dataset
    if opened.job.method_knobs["packing"]:
        from datasets import Dataset

        talks = opened.rows["messages"].to_list()
        sample = Dataset.from_list([{"messages": talks[at]} for at in loss_mask_check.sample_indices(len(talks))])
        rows = built._prepare_dataset(sample, built.processing_class, built.args, False, None, "read back")
    found = []
    for at in loss_mask_check.sample_indices(len(rows)):
        batch = built.data_collator([{name: rows[at][name] for name in ("input_ids", "labels")}])
        ids, labels = batch["input_ids"][0].tolist(), batch["labels"][0].tolist()
        turns = rows[at]["messages"]
        said = [turn["content"] for turn in turns if turn["role"] == "assistant"]
        bears = [label != -100 for label in labels]
        found.append(loss_mask_check.Document(ids, bears, turns, said, len(ids) >= opened.job.settings.max_length))
    return found
