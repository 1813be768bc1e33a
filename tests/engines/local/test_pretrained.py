"""A model folder is data: its code never runs, its pickles are never opened, and whatever is wrong with it is one line."""

import io
import json
import os
import pickle
import re
import shutil
import sys
from random import Random

import pytest
from servers_for_tests import asks

from attar.core.errors import AttarError, EngineError
from attar.engines.base import Request, Spec
from attar.engines.http.engine import Http
from attar.engines.local.engine import POCKET, Local
from attar.engines.local.pretrained import check_folder

CODE = """
import pathlib
pathlib.Path(__file__).with_name("RAN").write_text("code of the folder ran")
pathlib.Path("RAN").write_text("code of the folder ran")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of a pocket model; anything it runs would leave a file RAN, and stdin would say yes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 20))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    shutil.copytree(POCKET / "base", tmp_path / "model")
    return tmp_path / "model"


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


HOSTILE = [custom_config, custom_model, custom_tokenizer, custom_generation, hub_kernels, pickled_weights, pickle_by_index,
           outside_by_index, adapter]  # fmt: skip


def message_of(use):
    """What an error says; "" where there is none, since not every use needs the file that is broken."""
    try:
        use()
    except AttarError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: change.__name__)
def test_no_code_of_a_model_s_folder_runs(change, folder):
    (folder / "evil.py").write_text(CODE)
    change(folder)
    engine = Local(Spec("local", str(folder), {}))
    for use in (
        lambda: engine.template,
        lambda: engine.tokenizer,
        engine.architectures,
        lambda: list(engine.generate(asks(1))),
        lambda: list(engine.embed([Request(0, text="a")])),
        lambda: list(engine.reward(asks(1))),
        lambda: Http(Spec("http", "m", {"url": "http://127.0.0.1:9/v1", "tokenizer": str(folder)})).template,
    ):
        message = message_of(use)
        assert "\n" not in message
        assert "trust_remote_code=True" not in message
    assert not list(folder.parent.rglob("RAN"))


@pytest.mark.parametrize(
    "change", [hub_kernels, pickle_by_index, outside_by_index, adapter], ids=lambda change: change.__name__
)
def test_what_would_be_opened_elsewhere_is_refused_by_name(change, folder):
    change(folder)
    with pytest.raises(EngineError, match=r"index\.json names weights|config\.json asks for code|holds an adapter"):
        check_folder(folder)


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


@pytest.mark.parametrize("data", list(broken_weights()), ids=lambda data: f"{len(data)} bytes")
def test_broken_weights_are_one_line(data, folder):
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(EngineError) as caught:
        list(Local(Spec("local", str(folder), {})).generate(asks(1)))
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a": ', "\udcff", "[" * 5000, '{"weight_map": 3}'], ids=range(8))
def test_a_broken_file_of_a_model_s_folder_is_one_line_or_is_not_needed(file, text, folder):
    (folder / file).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert "\n" not in message_of(lambda: list(Local(Spec("local", str(folder), {})).generate(asks(1))))
