"""Changes that make a model folder hostile or broken; whatever code of it runs leaves a file RAN."""

import json
import os
import pickle
import re
from random import Random

from attar.engines.local.spec import POCKET

CODE = """
import pathlib
pathlib.Path(__file__).with_name("RAN").write_text("code of the folder ran")
pathlib.Path("RAN").write_text("code of the folder ran")
"""


def edit(file, **values):
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(known | values))


def custom_config(folder):
    edit(folder / "config.json", auto_map={"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}, model_type="evil")


def custom_model(folder):
    edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "evil.Model"}, architectures=["Evil"])


def custom_tokenizer(folder):
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Slow", "evil.Fast"]}, tokenizer_class="Evil")


def custom_generation(folder):
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(CODE)


def hub_kernels(folder):
    edit(folder / "config.json", _attn_implementation="someone/kernels")


class Bomb:
    def __reduce__(self):
        return os.system, ("touch RAN",)


def pickled_weights(folder):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))


def pickle_by_index(folder):
    pickled_weights(folder)
    edit(folder / "model.safetensors.index.json", metadata={}, weight_map={"model.embed_tokens.weight": "pytorch_model.bin"})


def outside_by_index(folder):
    (folder / "model.safetensors").rename(folder.parent / "other.safetensors")
    edit(folder / "model.safetensors.index.json", metadata={}, weight_map={"lm_head.weight": "../other.safetensors"})


def adapter(folder):
    edit(folder / "adapter_config.json", base_model_name_or_path="someone/else", peft_type="LORA")
    (folder / "adapter_model.bin").write_bytes(pickle.dumps(Bomb()))


def slow_pattern(folder):
    """A pattern of the tokenizer whose matching takes exponential time: tokenizers gives up with a panic."""
    split = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    edit(folder / "tokenizer.json", pre_tokenizer=split)


HOSTILE = [custom_config, custom_model, custom_tokenizer, custom_generation, hub_kernels, pickled_weights, pickle_by_index,
           outside_by_index, adapter]  # fmt: skip


def broken_weights():
    data = (POCKET / "base" / "model.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    dice = Random(0)
    yield from (data[:length] for length in (0, 4, 8, 9, size // 2, 8 + size, len(data) // 2, len(data) - 1))
    yield (2**63).to_bytes(8, "little") + data[8:]
    yield data[:8] + b"[" * size + data[8 + size :]
    yield data[:8] + re.sub(rb'"(B?)F(16|32)"', rb'"\1F99"', data[8 : 8 + size]) + data[8 + size :]
    yield data[:8] + data[8 : 8 + size].replace(b"[0,", b"[9,") + data[8 + size :]
    yield b"\x80\x04" + dice.randbytes(3000)


BROKEN_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json")
BROKEN_TEXTS = ("", "{", "[]", "null", '{"a": ', "\udcff", "[" * 5000, '{"weight_map": 3}')
