"""A model folder is data: its code never runs, its pickles are never opened, and whatever is wrong with it is one line."""

import io
import shutil
import sys

import pytest
from hostile_folders import (
    BROKEN_FILES,
    BROKEN_TEXTS,
    CODE,
    HOSTILE,
    adapter,
    broken_weights,
    hub_kernels,
    outside_by_index,
    pickle_by_index,
    slow_pattern,
)
from servers_for_tests import asks

from attar.core.errors import AttarError, EngineError
from attar.engines.base import Request, Spec
from attar.engines.http.engine import Http
from attar.engines.local.engine import Local
from attar.engines.local.pretrained import check_folder
from attar.engines.local.spec import POCKET


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of a pocket model; anything it runs would leave a file RAN, and stdin would say yes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 20))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    shutil.copytree(POCKET / "base", tmp_path / "model")
    return tmp_path / "model"


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


@pytest.mark.parametrize("data", list(broken_weights()), ids=lambda data: f"{len(data)} bytes")
def test_broken_weights_are_one_line(data, folder):
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(EngineError) as caught:
        list(Local(Spec("local", str(folder), {})).generate(asks(1)))
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", BROKEN_FILES)
@pytest.mark.parametrize("text", BROKEN_TEXTS, ids=range(8))
def test_a_broken_file_of_a_model_s_folder_is_one_line_or_is_not_needed(file, text, folder):
    (folder / file).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert "\n" not in message_of(lambda: list(Local(Spec("local", str(folder), {})).generate(asks(1))))


@pytest.mark.parametrize("verb", ["generate", "embed"])
def test_a_pattern_that_the_tokenizer_gives_up_on_is_one_line(verb, folder):
    slow_pattern(folder)
    with pytest.raises(EngineError, match=r"the tokenizer of .*model fails on a text \(.*retry-limit") as caught:
        list(getattr(Local(Spec("local", str(folder), {})), verb)([Request(0, text="a" * 40 + "b")]))
    assert "\n" not in str(caught.value)
