"""Open the base model of a training: its weights in the right precision, its tokenizer, and its LoRA configuration.

Any engine whose weights are on this machine can be trained: `local`, and the servers that Attar starts itself (`vllm`,
`sglang`; their server options are ignored). A model behind an API is refused.
"""

from importlib.util import find_spec
from typing import Any

from attar.core.errors import EngineError, RecipeError
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.engines.local.pretrained import load_weights
from attar.engines.local.spec import LocalOptions
from attar.engines.registry import kind_of

DISTRIBUTION_OPTIONS = ("gpus", "accelerate")
"""Options of a base that say how to distribute its training over devices; the engine itself does not use them."""


def base_of(engine: Spec, dtype: str | None = None) -> Local:
    """The base as an engine in this process; `dtype` overrides the engine's own."""
    if kind_of(engine).trainable_as != "transformers":
        raise EngineError(
            f"{engine.kind} engine {engine.model} cannot be trained: its weights are not on this machine; name a model "
            "folder or a hub id as {kind: local, model: ...}"
        )
    known = LocalOptions.__annotations__
    options = {name: value for name, value in engine.options.items() if name in known and name not in DISTRIBUTION_OPTIONS}
    return Local(Spec("local", engine.model, options | ({"dtype": dtype} if dtype else {}), engine.identity))


def open_tokenizer(engine: Spec) -> Any:
    """The base's tokenizer."""
    return base_of(engine).tokenizer


def open_model(engine: Spec, *, lora: int | None, qlora: bool, rank: int | None = None) -> Any:
    """The model to train, in float32 if all weights are trained; `rank` is this process's local rank among several."""
    if qlora:
        return _open_four_bit(engine, lora, rank or 0)
    options = dict(engine.options)
    if rank is not None:  # the trainer moves the model to this process's device
        options = {name: value for name, value in options.items() if name != "device_map"} | {"device": "cpu"}
    return base_of(Spec(engine.kind, engine.model, options, engine.identity), _precision(engine, lora)).causal()


def lora_config(lora: int | None) -> Any:
    """A LoRA adapter of this rank on all linear layers but the head; None without a rank."""
    if lora is None:
        return None
    if lora < 1:
        raise RecipeError(f"knob 'lora' is the adapter's rank and must be >= 1, or null to train all weights, got {lora}")
    from peft import LoraConfig

    return LoraConfig(r=lora, lora_alpha=2 * lora, target_modules="all-linear", task_type="CAUSAL_LM")


def _precision(engine: Spec, lora: int | None) -> str | None:
    import torch

    frozen = lora is not None and torch.cuda.is_available() and engine.options.get("device") != "cpu"
    return None if frozen else "float32"


def _open_four_bit(engine: Spec, lora: int | None, rank: int) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    if lora is None:
        raise RecipeError("knob 'qlora' trains an adapter on a 4-bit base: set the adapter's rank too, such as lora: 16")
    if not torch.cuda.is_available():
        raise EngineError(f"{engine.model} cannot be opened in 4 bits: qlora needs a CUDA device; leave qlora out")
    if find_spec("bitsandbytes") is None:
        raise EngineError(f"{engine.model} cannot be opened in 4 bits: run  pip install bitsandbytes")
    base = base_of(engine)
    return load_weights(
        "CausalLM",
        engine.model,
        base.folder,
        revision=engine.options.get("revision"),
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        ),
        dtype=torch.bfloat16,
        device_map={"": rank},
    )
