"""A training's settings as other trainers write them down.

One step takes the same number of rows as in a training of Attar's own; it is accumulated on one device.
"""

from typing import Any

from attar.core.errors import RecipeError
from attar.outputs.export.trainings import Training


def trl(training: Training) -> dict[str, Any]:
    """For TRL's own command."""
    knobs, (at_once, accumulate) = training.knobs, training.portions
    own: dict[str, Any]
    match training.method:
        case "sft":
            own = {"packing": knobs["packing"], "assistant_only_loss": True}
            own |= {"chat_template_path": knobs["template"]} if knobs["template"] else {}
        case "dpo" | "ipo":
            own = {"beta": knobs["beta"], "loss_type": ["ipo" if training.method == "ipo" else "sigmoid"]}
        case "kto":
            own = {"beta": knobs["beta"]}
        case _:
            raise RecipeError(f"TRL has no command for {training.method}: export for axolotl or llamafactory")
    lora = {"use_peft": True, "lora_r": knobs["lora"], "lora_alpha": 2 * (knobs["lora"] or 0)}
    lora |= {"lora_dropout": 0.0, "lora_target_modules": ["all-linear"], "load_in_4bit": knobs["qlora"]}
    return {
        "model_name_or_path": training.base,
        "datasets": [{"path": "json", "data_files": f"{training.name}.jsonl"}],
        "output_dir": training.out,
        "num_train_epochs": knobs["epochs"],
        "learning_rate": knobs["lr"],
        "lr_scheduler_type": knobs["schedule"],
        "warmup_steps": knobs["warmup"],
        "per_device_train_batch_size": at_once,
        "gradient_accumulation_steps": accumulate,
        "max_length": knobs["max_length"],
        **own,
        **(lora if knobs["lora"] else {}),
        "seed": knobs["seed"],
        "save_strategy": "epoch",
        "report_to": "none",
    }


def axolotl(training: Training) -> dict[str, Any]:
    """For axolotl."""
    knobs, method, (at_once, accumulate) = training.knobs, training.method, training.portions
    data: dict[str, Any] = {"path": f"{training.name}.jsonl", "ds_type": "json", "split": "train"}
    own: dict[str, Any] = {} if method == "sft" else {"rl": method, "rl_beta": knobs["beta"], "remove_unused_columns": False}
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
            own |= {"simpo_gamma": knobs["gamma"], "cpo_alpha": 0.0} if method == "simpo" else {}
        case "orpo":
            data |= {"type": "chat_template.argilla"}
            own |= {"orpo_alpha": knobs["beta"]}
            own.pop("rl_beta")
        case _:
            raise RecipeError(
                f"axolotl reads rows for {method} in the shapes of a few models only: export for trl or llamafactory"
            )
    lora = {"adapter": "qlora" if knobs["qlora"] else "lora", "load_in_4bit": knobs["qlora"], "lora_r": knobs["lora"]}
    lora |= {"lora_alpha": 2 * (knobs["lora"] or 0), "lora_dropout": 0.0, "lora_target_linear": True}
    return {
        "base_model": training.base,
        "chat_template": "jinja" if knobs.get("template") else "tokenizer_default",
        **({"chat_template_jinja": knobs["template"]} if knobs.get("template") else {}),
        **own,
        "datasets": [data],
        "output_dir": training.out,
        "sequence_len": knobs["max_length"],
        "sample_packing": knobs.get("packing", False),
        **(lora if knobs["lora"] else {}),
        "num_epochs": knobs["epochs"],
        "learning_rate": knobs["lr"],
        "lr_scheduler": knobs["schedule"],
        **training.warmup,
        "optimizer": "adamw_torch_fused",
        "micro_batch_size": at_once,
        "gradient_accumulation_steps": accumulate,
        "bf16": "auto",
        "gradient_checkpointing": True,
        "saves_per_epoch": 1,
        "seed": knobs["seed"],
    }


def llamafactory(training: Training) -> dict[str, Any]:
    """For LLaMA-Factory, which reads the template out of the tokenizer."""
    knobs, method, (at_once, accumulate) = training.knobs, training.method, training.portions
    own: dict[str, Any] = {"packing": knobs["packing"], "neat_packing": knobs["packing"]} if method == "sft" else {}
    if method != "sft":
        loss = {"dpo": "sigmoid"}.get(method, method)
        own = {"pref_beta": knobs["beta"]} | ({} if method == "kto" else {"pref_loss": loss})
        own |= {"simpo_gamma": knobs["gamma"]} if method == "simpo" else {}
    lora = {"lora_rank": knobs["lora"], "lora_alpha": 2 * (knobs["lora"] or 0), "lora_target": "all"}
    lora |= {"quantization_bit": 4} if knobs["qlora"] else {}
    return {
        "model_name_or_path": training.base,
        "stage": method if method in ("sft", "kto") else "dpo",
        "do_train": True,
        "finetuning_type": "lora" if knobs["lora"] else "full",
        **(lora if knobs["lora"] else {}),
        "dataset": f"attar_{training.name}",
        "dataset_dir": ".",
        "cutoff_len": knobs["max_length"],
        **own,
        "output_dir": training.out,
        "num_train_epochs": knobs["epochs"],
        "learning_rate": knobs["lr"],
        "lr_scheduler_type": knobs["schedule"],
        **training.warmup,
        "per_device_train_batch_size": at_once,
        "gradient_accumulation_steps": accumulate,
        "bf16": True,
        "logging_steps": 10,
        "save_strategy": "epoch",
        "report_to": "none",
        "seed": knobs["seed"],
    }


def dataset_info(training: Training) -> dict[str, Any]:
    """What LLaMA-Factory is told of a data file."""
    about: dict[str, Any] = {
        "file_name": f"{training.name}.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
    }
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    about["tags"] = tags | {"system_tag": "system"}
    match training.method:
        case "sft":
            pass
        case "kto":
            about["columns"] |= {"kto_tag": "label"}
        case _:
            about |= {"ranking": True}
            about["columns"] |= {"chosen": "chosen", "rejected": "rejected"}
    return about
