import pytest
import torch

from attar.core.errors import EngineError, MissingExtraError
from attar.similarity import int8
from attar.similarity.backends import choose_arithmetic
from attar.similarity.products import Numpy, Torch


def test_products_in_8_bits_that_a_processor_lacks_are_refused_by_name(monkeypatch):
    monkeypatch.setattr(int8, "is_supported", lambda: False)
    with pytest.raises(EngineError, match="backend 'int8': this processor"):
        choose_arithmetic("int8")
    auto = choose_arithmetic("auto")
    assert isinstance(auto, Torch)
    assert auto.short is auto


def test_a_processor_that_has_products_in_8_bits_uses_them_for_short_rows(monkeypatch):
    monkeypatch.setattr(int8, "is_supported", lambda: True)
    for backend in ("auto", "int8"):
        assert isinstance(choose_arithmetic(backend).short, int8.Int8Products)
    assert isinstance(choose_arithmetic("torch").short, Torch)


def test_a_gpu_that_is_not_there_is_refused_by_name_and_never_taken_by_itself(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EngineError, match="backend 'cuda': torch finds no CUDA device"):
        choose_arithmetic("cuda")
    assert choose_arithmetic("auto").empty(1, 1).device.type == "cpu"


def test_without_torch_numpy_multiplies_unless_torch_was_asked_for(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    assert isinstance(choose_arithmetic("auto"), Numpy)
    assert isinstance(choose_arithmetic("numpy"), Numpy)
    with pytest.raises(MissingExtraError, match="torch"):
        choose_arithmetic("bfloat16")
