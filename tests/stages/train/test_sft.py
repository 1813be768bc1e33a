import pytest
from transformers import AutoTokenizer

from attar.core.errors import EngineError
from attar.engines.base import Request, Sampling, Spec, in_order
from attar.engines.local.engine import Local
from attar.engines.local.spec import POCKET
from attar.stages.evaluate.benchmarks import pocket_exam
from attar.stages.train import sft

BASE = Spec("local", "pocket:base", {"threads": 1})


@pytest.fixture(scope="module")
def trained(talks, tmp_path_factory):
    into = tmp_path_factory.mktemp("sft") / "model"
    curve = sft.train(talks(240), engine=BASE, into=into, epochs=2, lr=4e-3, batch=16, max_length=256)
    return into, curve


def test_the_loss_falls_and_the_curve_is_kept(trained):
    curve = trained[1]
    assert curve.columns == ["id", "step", "loss", "lr"]
    assert curve["step"].to_list() == [10, 20, 30]
    assert curve["loss"][-1] < curve["loss"][0] / 2


def test_the_trained_model_is_an_engine_that_has_learnt_to_end_its_turn(trained):
    asks = [tuple(turns) for turns in pocket_exam.tasks(count=30)["messages"].to_list()]
    requests = [Request(i, messages=ask, sampling=Sampling(max_tokens=80)) for i, ask in enumerate(asks)]
    before = in_order(Local(BASE).generate(requests), 30)
    after = in_order(Local(Spec("local", str(trained[0]))).generate(requests), 30)
    assert sum(reply.finish == "stop" for reply in before) <= 3
    assert sum(reply.finish == "stop" for reply in after) >= 20


def test_the_same_seed_trains_the_same_model(talks, tmp_path):
    for name in ("one", "two"):
        sft.train(talks(16), engine=BASE, into=tmp_path / name, epochs=2, lr=4e-3, batch=8, max_length=128)
    assert (tmp_path / "one" / "model.safetensors").read_bytes() == (tmp_path / "two" / "model.safetensors").read_bytes()


def test_the_loss_lies_on_what_the_assistant_says_and_on_its_end_of_turn(talks):
    tokenizer = AutoTokenizer.from_pretrained(POCKET / "base")
    talk = talks(1)["messages"].to_list()[0]
    found = tokenizer.apply_chat_template(talk, return_dict=True, return_assistant_tokens_mask=True)
    borne = [token for token, mask in zip(found["input_ids"], found["assistant_masks"], strict=True) if mask]
    assert tokenizer.decode(borne) == talk[1]["content"] + "<|im_end|>"


def test_a_template_without_marks_for_the_assistant_is_refused(talks, tmp_path):
    import shutil

    folder = shutil.copytree(POCKET / "base", tmp_path / "unmarked")
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("{% generation %}", "").replace("{% endgeneration %}", ""))
    with pytest.raises(EngineError, match=r"cannot be trained on conversations: .*generation"):
        sft.train(talks(3), engine=Spec("local", str(folder)), into=tmp_path / "model")


def test_nothing_but_a_model_folder_is_left_and_no_pickle_in_it(trained):
    assert [path.name for path in trained[0].parent.iterdir()] == ["model"]
    assert {path.suffix for path in trained[0].iterdir()} == {".json", ".jinja", ".safetensors"}


def test_an_adapter_is_merged_into_a_normal_model_that_an_engine_opens(talks, tmp_path):
    base, into = Local(BASE), tmp_path / "model"
    curve = sft.train(talks(32), engine=BASE, into=into, epochs=1, lr=1e-2, batch=16, max_length=128, lora=4)
    assert curve["step"].to_list() == [1, 2]
    merged = Local(Spec("local", str(into))).causal().state_dict()
    before = base.causal().state_dict()
    changed = {name for name in before if not (before[name] == merged[name]).all()}
    assert merged.keys() == before.keys()
    assert changed == {name for name in before if name.endswith("proj.weight")}  # all linear layers, and nothing else
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_a_base_without_a_template_takes_one_by_its_knob(talks, tmp_path):
    import shutil

    folder = shutil.copytree(POCKET / "base", tmp_path / "bare")
    template = shutil.move(folder / "chat_template.jinja", tmp_path / "own.jinja")
    knobs = {"engine": Spec("local", str(folder)), "into": tmp_path / "model", "epochs": 1, "batch": 4}
    with pytest.raises(EngineError, match=r"has no chat template.*knob 'template'"):
        sft.train(talks(4), **knobs)
    sft.train(talks(4), **knobs, template=str(template))
    assert (tmp_path / "model" / "chat_template.jinja").read_text() == template.read_text()


def test_packed_rows_do_not_see_one_another(talks, tmp_path):
    knobs = {"epochs": 1, "max_length": 512}
    apart = sft.train(talks(4), engine=BASE, into=tmp_path / "apart", batch=4, **knobs)
    packed = sft.train(talks(4), engine=BASE, into=tmp_path / "packed", batch=1, packing=True, **knobs)
    assert len(apart) == len(packed) == 1  # all four were in one row
    assert packed["loss"][0] == pytest.approx(apart["loss"][0], rel=1e-3)
