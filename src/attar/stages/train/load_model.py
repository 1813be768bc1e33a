"""The base of a training: its weights in the precision that training wants, its tokenizer, and the LoRA adapter to put on it.

Any engine with a model of its own may be trained: `local`, and the servers that Attar starts on a model (`vllm`, `sglang`),
whose own options are left aside. A model behind an API is refused.
"""

from importlib.util import find_spec
from typing import Any

from attar.core.errors import EngineError, RecipeError
from attar.engines.base import Spec
from attar.engines.local.engine import OPTIONS, Local
from attar.engines.registry import kind_of

SPREAD = ("gpus", "accelerate")
"""Options of a base that say how its training is spread over devices, and mean nothing to the engine itself."""


def base_of(engine: Spec, dtype: str | None = None) -> Local:
    """The base as an engine of this process; `dtype` stands above the engine's own."""
    if kind_of(engine).trainable_as != "transformers":
        raise EngineError(
            f"{engine.kind} engine {engine.model} cannot be trained: its weights are not here; name a model folder or a hub id "
            "as {kind: local, model: ...}"
        )
    options = {name: value for name, value in engine.options.items() if name in OPTIONS and name not in SPREAD}
    return Local(Spec("local", engine.model, options | ({"dtype": dtype} if dtype else {}), engine.identity))


def open_tokenizer(engine: Spec) -> Any:
    """The base's tokenizer."""
    return base_of(engine).tokenizer


def open_model(engine: Spec, *, lora: int | None, qlora: bool, rank: int | None = None) -> Any:
    """The weights to train, in float32 where all of them are trained; `rank` is this process's place among many."""
    if qlora:
        return _in_four_bits(engine, lora, rank or 0)
    options = dict(engine.options)
    if rank is not None:  # the trainer places it: each process on a device of its own
        options = {name: value for name, value in options.items() if name != "device_map"} | {"device": "cpu"}
    whole = base_of(Spec(engine.kind, engine.model, options, engine.identity), _precision(engine, lora))
    return whole.causal()


def adapter(lora: int | None) -> Any:
    """The configuration of a LoRA adapter of this rank on all linear layers but the head; None for no rank."""
    if lora is None:
        return None
    if lora < 1:
        raise RecipeError(f"knob 'lora' is {lora}: it is the adapter's rank, 1 or more, or null to train all weights")
    from peft import LoraConfig

    return LoraConfig(r=lora, lora_alpha=2 * lora, target_modules="all-linear", task_type="CAUSAL_LM")


def _precision(engine: Spec, lora: int | None) -> str | None:
    import torch

    frozen = lora is not None and torch.cuda.is_available() and engine.options.get("device") != "cpu"
    return None if frozen else "float32"


def _in_four_bits(engine: Spec, lora: int | None, rank: int) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    if lora is None:
        raise RecipeError("knob 'qlora' trains an adapter on a base in four bits: give its rank too, such as lora: 16")
    if not torch.cuda.is_available():
        raise EngineError(f"{engine.model} cannot be opened in four bits: qlora needs a CUDA device; leave qlora out")
    if find_spec("bitsandbytes") is None:
        raise EngineError(f"{engine.model} cannot be opened in four bits: run  pip install bitsandbytes")
    base = base_of(engine)
    return AutoModelForCausalLM.from_pretrained(
        str(base.folder or engine.model),
        revision=engine.options.get("revision"),
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        ),
        dtype=torch.bfloat16,
        device_map={"": rank},
        use_safetensors=True,
        trust_remote_code=False,
    )
