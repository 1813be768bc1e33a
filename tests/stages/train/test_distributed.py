import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from attar.core.errors import EngineError, RecipeError
from attar.engines.base import Spec
from attar.stages.train import distributed, preference, sft

KNOBS = {"epochs": 1, "lr": 4e-3, "batch": 8, "max_length": 128}


def base(**options):
    return Spec("local", "pocket:base", {"threads": 1, "device": "cpu", **options})


def test_two_processes_train_what_one_does(talks, tmp_path):
    models, curves = {}, {}
    for count in (1, 2):
        into = tmp_path / str(count) / "model"
        curves[count] = sft.train(talks(32), engine=base(gpus=count), into=into, **KNOBS)
        models[count] = load_file(into / "model.safetensors")
        assert [path.name for path in into.parent.iterdir()] == ["model"]
    assert curves[1]["step"].to_list() == curves[2]["step"].to_list() == [1, 2, 3, 4]
    assert np.allclose(curves[1]["loss"], curves[2]["loss"], rtol=1e-4)
    for name, weights in models[1].items():
        assert np.allclose(weights, models[2][name], atol=1e-2), name  # sums over two shares are rounded otherwise


def test_what_a_process_leaves_for_the_user_is_raised_as_by_one_process(talks, monkeypatch, tmp_path):
    left, place = tmp_path / "left.json", tmp_path / "trainer"
    left.write_text(json.dumps({"kind": "RecipeError", "text": "knob 'lora' is 0: it is the adapter's rank"}))
    monkeypatch.setattr(distributed, "_launch_command", lambda *_: ["sh", "-c", f"cp {left} {place}/error.json; exit 1"])
    with pytest.raises(RecipeError, match=r"^knob 'lora' is 0"):
        sft.train(talks(8), engine=base(gpus=2), into=tmp_path / "model", **KNOBS)


def test_processes_that_fail_leave_the_last_lines_of_their_log(talks, tmp_path, monkeypatch):
    monkeypatch.setattr(distributed, "_launch_command", lambda *_: ["sh", "-c", "echo the disk is full; exit 3", "sh"])
    with pytest.raises(EngineError, match=r"in 2 processes failed \(exit code 3\); its log ends with: the disk is full"):
        sft.train(talks(8), engine=base(gpus=2), into=tmp_path / "model", **KNOBS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gpus": 0}, "option .gpus. .* got 0"),
        ({"gpus": "two"}, "'two'"),
        ({"accelerate": "no.yaml"}, "no.yaml., and there is no such file"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said, talks, tmp_path):
    with pytest.raises(EngineError, match=said):
        sft.train(talks(3), engine=base(**options), into=tmp_path / "model")


def test_a_configuration_of_accelerate_is_passed_on(tmp_path, pairs, monkeypatch):
    config = tmp_path / "fsdp.yaml"
    config.write_text("distributed_type: FSDP\n")
    told = tmp_path / "told.json"
    real = distributed._launch_command

    def record(*given):
        told.write_text(json.dumps(real(*given)))
        return ["false"]

    monkeypatch.setattr(distributed, "_launch_command", record)
    with pytest.raises(EngineError, match="code 1"):
        preference.train(pairs(4), engine=base(gpus=4, accelerate=str(config)), into=tmp_path / "model", batch=4)
    command = json.loads(told.read_text())
    assert command[command.index("--config_file") + 1] == str(config)
    assert command[command.index("--num_processes") + 1] == "4"
