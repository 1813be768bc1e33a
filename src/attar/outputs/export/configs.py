"""A training's settings as configurations of other trainers.

The batch size is the same as in Attar's own training; gradients are accumulated on one device.
"""

from typing import Any

from attar.core.errors import RecipeError
from attar.outputs.export.trainings import Training


def trl(training: Training) -> dict[str, Any]:
    """The configuration for TRL's command."""
    settings, knobs, (device_batch, accumulate) = training.settings, training.method_knobs, training.batch_split
    method_settings: dict[str, Any]
    match training.method:
        case "sft":
            method_settings = {"packing": knobs["packing"], "assistant_only_loss": True}
            method_settings |= {"chat_template_path": knobs["template"]} if knobs["template"] else {}
        case "dpo" | "ipo":
            method_settings = {"beta": knobs["beta"], "loss_type": ["ipo" if training.method == "ipo" else "sigmoid"]}
        case "kto":
            method_settings = {"beta": knobs["beta"]}
        case _:
            raise RecipeError(f"TRL has no command for {training.method}: export for axolotl or llamafactory instead")
    lora = {"use_peft": True, "lora_r": settings.lora, "lora_alpha": 2 * (settings.lora or 0)}
    lora |= {"lora_dropout": 0.0, "lora_target_modules": ["all-linear"], "load_in_4bit": settings.qlora}
    return {
        "model_name_or_path": training.base,
        "datasets": [{"path": "json", "data_files": f"{training.name}.jsonl"}],
        "output_dir": training.out,
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.lr,
        "lr_scheduler_type": settings.schedule,
        "warmup_steps": settings.warmup,
        "per_device_train_batch_size": device_batch,
        "gradient_accumulation_steps": accumulate,
        "max_length": settings.max_length,
        **method_settings,
        **(lora if settings.lora else {}),
        "seed": settings.seed,
        "save_strategy": "epoch",
        "report_to": "none",
    }


def axolotl(training: Training) -> dict[str, Any]:
    """The configuration for axolotl."""
    settings, knobs, method = training.settings, training.method_knobs, training.method
    device_batch, accumulate = training.batch_split
    data: dict[str, Any] = {"path": f"{training.name}.jsonl", "ds_type": "json", "split": "train"}
    method_settings: dict[str, Any] = (
        {} if method == "sft" else {"rl": method, "rl_beta": knobs["beta"], "remove_unused_columns": False}
    )
    match method:
        case "sft":
            data |= {
                "type": "chat_template",
                "field_messages": "messages",
                "roles_to_train": ["assistant"],
                "train_on_eos": "turn",
            }
        case "dpo" | "ipo" | "simpo":
            data |= {"type": "chat_template.default", "field_messages": "messages"}
            data |= {"field_chosen": "chosen", "field_rejected": "rejected"}
            method_settings |= {"simpo_gamma": knobs["gamma"], "cpo_alpha": 0.0} if method == "simpo" else {}
        case "orpo":
            data |= {"type": "chat_template.argilla"}
            method_settings |= {"orpo_alpha": knobs["beta"]}
            method_settings.pop("rl_beta")
        case _:
            raise RecipeError(
                f"axolotl supports {method} rows only in the formats of a few models: export for trl or llamafactory instead"
            )
    lora = {"adapter": "qlora" if settings.qlora else "lora", "load_in_4bit": settings.qlora, "lora_r": settings.lora}
    lora |= {"lora_alpha": 2 * (settings.lora or 0), "lora_dropout": 0.0, "lora_target_linear": True}
    return {
        "base_model": training.base,
        "chat_template": "jinja" if knobs.get("template") else "tokenizer_default",
        **({"chat_template_jinja": knobs["template"]} if knobs.get("template") else {}),
        **method_settings,
        "datasets": [data],
        "output_dir": training.out,
        "sequence_len": settings.max_length,
        "sample_packing": knobs.get("packing", False),
        **(lora if settings.lora else {}),
        "num_epochs": settings.epochs,
        "learning_rate": settings.lr,
        "lr_scheduler": settings.schedule,
        **training.warmup,
        "optimizer": "adamw_torch_fused",
        "micro_batch_size": device_batch,
        "gradient_accumulation_steps": accumulate,
        "bf16": "auto",
        "gradient_checkpointing": True,
        "saves_per_epoch": 1,
        "seed": settings.seed,
    }


def llamafactory(training: Training) -> dict[str, Any]:
    """The configuration for LLaMA-Factory, which reads the chat template from the tokenizer."""
    settings, knobs, method = training.settings, training.method_knobs, training.method
    device_batch, accumulate = training.batch_split
    method_settings: dict[str, Any] = {"packing": knobs["packing"], "neat_packing": knobs["packing"]} if method == "sft" else {}
    if method != "sft":
        loss = {"dpo": "sigmoid"}.get(method, method)
        method_settings = {"pref_beta": knobs["beta"]} | ({} if method == "kto" else {"pref_loss": loss})
        method_settings |= {"simpo_gamma": knobs["gamma"]} if method == "simpo" else {}
    lora = {"lora_rank": settings.lora, "lora_alpha": 2 * (settings.lora or 0), "lora_target": "all"}
    lora |= {"quantization_bit": 4} if settings.qlora else {}
    return {
        "model_name_or_path": training.base,
        "stage": method if method in ("sft", "kto") else "dpo",
        "do_train": True,
        "finetuning_type": "lora" if settings.lora else "full",
        **(lora if settings.lora else {}),
        "dataset": f"attar_{training.name}",
        "dataset_dir": ".",
        "cutoff_len": settings.max_length,
        **method_settings,
        "output_dir": training.out,
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.lr,
        "lr_scheduler_type": settings.schedule,
        **training.warmup,
        "per_device_train_batch_size": device_batch,
        "gradient_accumulation_steps": accumulate,
        "bf16": True,
        "logging_steps": 10,
        "save_strategy": "epoch",
        "report_to": "none",
        "seed": settings.seed,
    }


def dataset_info(training: Training) -> dict[str, Any]:
    """The entry for a data file in LLaMA-Factory's dataset_info.json."""
    entry: dict[str, Any] = {
        "file_name": f"{training.name}.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
    }
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    entry["tags"] = tags | {"system_tag": "system"}
    match training.method:
        case "sft":
            pass
        case "kto":
            entry["columns"] |= {"kto_tag": "label"}
        case _:
            entry |= {"ranking": True}
            entry["columns"] |= {"chosen": "chosen", "rejected": "rejected"}
    return entry
