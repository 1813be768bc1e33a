import pytest
import torch

from attar.core.errors import EngineError, RecipeError
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.stages.train import load_model, sft

BASE = Spec("local", "pocket:base", {"threads": 1})


@pytest.mark.parametrize("kind", ["vllm", "sglang"])
def test_a_base_that_a_server_is_started_for_is_trained_from_the_same_folder(kind, talks, tmp_path):
    served = Spec(kind, "pocket:base", {"server": {"max-model-len": 256}, "ready": 5.0})
    assert sft.train(talks(4), engine=served, into=tmp_path / "model", epochs=1, batch=4).height == 1
    assert Local(Spec("local", str(tmp_path / "model"))).causal()


def test_a_model_behind_an_api_cannot_be_trained(talks, tmp_path):
    with pytest.raises(EngineError, match=r"http engine gpt cannot be trained: its weights are not on this machine"):
        sft.train(talks(3), engine=Spec("http", "gpt", {"url": "http://localhost"}), into=tmp_path / "model")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_four_bits_need_cuda(talks, tmp_path):
    with pytest.raises(EngineError, match="qlora needs a CUDA device"):
        sft.train(talks(3), engine=BASE, into=tmp_path / "model", lora=4, qlora=True)


def test_an_adapter_of_a_rank_is_on_all_linear_layers_and_no_rank_is_no_adapter():
    config = load_model.lora_config(8)
    assert (config.r, config.lora_alpha, config.target_modules, config.task_type) == (8, 16, "all-linear", "CAUSAL_LM")
    assert load_model.lora_config(None) is None
    with pytest.raises(RecipeError, match="must be >= 1, or null"):
        load_model.lora_config(0)
    with pytest.raises(RecipeError, match="rank too"):
        load_model.open_model(BASE, lora=None, qlora=True)


def test_all_weights_are_trained_in_32_bits_whatever_the_base_runs_in():
    model = load_model.open_model(Spec("local", "pocket:base", {"dtype": "bfloat16"}), lora=None, qlora=False)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_options_that_spread_a_training_mean_nothing_to_the_base_and_its_identity_is_kept():
    engine = Spec("local", "pocket:base", {"threads": 1, "gpus": 2, "accelerate": "some.yaml"}, "the-step-before")
    base = load_model.base_of(engine, "float64")
    assert base.spec == Spec("local", "pocket:base", {"threads": 1, "dtype": "float64"}, "the-step-before")
