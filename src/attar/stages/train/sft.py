"""Supervised fine-tuning with TRL; only the assistant's tokens count in the loss."""

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
    settings = TrainingSettings.from_knobs(locals())
    job = TrainingJob("sft", engine, into, settings, {"packing": packing, "template": template})
    return distributed.train(job, complete_rows(table, "response").select("id", "messages"), build_trainer)


def build_trainer(inputs: TrainerInputs) -> BuiltTrainer:
    """Build TRL's SFT trainer on the conversations."""
    from datasets import Dataset
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    knobs, tokenizer = inputs.job.method_knobs, inputs.tokenizer
    if knobs["template"] is None and tokenizer.chat_template is None:
        raise EngineError(
            f"{inputs.job.engine.model} has no chat template, like many base models: name one with the knob 'template' "
            "(a .jinja file, or a model whose template to use)"
        )
    config = SFTConfig(
        **inputs.arguments, packing=knobs["packing"], chat_template_path=knobs["template"], assistant_only_loss=True
    )
    trainer = SFTTrainer(
        model=inputs.model,
        args=config,
        train_dataset=Dataset.from_list([{"messages": messages} for messages in inputs.rows["messages"].to_list()]),
        processing_class=tokenizer,
        peft_config=inputs.peft_config,
    )
    return BuiltTrainer(trainer, _documents(trainer, inputs), trainer.chat_template)


def _documents(trainer: Any, inputs: TrainerInputs) -> list[loss_mask_check.Document]:
    """A sample of rows as the collator makes them; with packing, prepared again without it."""
    rows = trainer.train_dataset
    if inputs.job.method_knobs["packing"]:
        from datasets import Dataset

        messages = inputs.rows["messages"].to_list()
        sample = Dataset.from_list([{"messages": messages[i]} for i in loss_mask_check.sample_indices(len(messages))])
        rows = trainer._prepare_dataset(sample, trainer.processing_class, trainer.args, False, None, "read back")
    documents = []
    for i in loss_mask_check.sample_indices(len(rows)):
        batch = trainer.data_collator([{name: rows[i][name] for name in ("input_ids", "labels")}])
        ids, labels = batch["input_ids"][0].tolist(), batch["labels"][0].tolist()
        turns = rows[i]["messages"]
        answers = [turn["content"] for turn in turns if turn["role"] == "assistant"]
        in_loss = [label != -100 for label in labels]
        truncated = len(ids) >= inputs.job.settings.max_length
        documents.append(loss_mask_check.Document(ids, in_loss, turns, answers, truncated))
    return documents
