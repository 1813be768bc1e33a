from random import Random

import polars as pl
import pytest
from transformers import AutoTokenizer

from attar.engines.base import Request, Sampling, Spec, in_order
from attar.engines.local import POCKET, Local
from attar.errors import DataError, EngineError
from attar.evaluate import verified
from attar.table import COLUMNS
from attar.train import sft
from attar.world.speech import instruct, respond
from attar.world.tasks import draw

BASE = Spec("local", "pocket:base", {"threads": 1})


def rows(count, seed=0):
    rng = Random(seed)
    talks = [
        [{"role": "user", "content": instruct(task, rng)}, {"role": "assistant", "content": respond(task)}]
        for task in (draw(rng) for _ in range(count))
    ]
    return pl.DataFrame(
        {
            "id": [str(i) for i in range(count)],
            "messages": pl.Series(talks, dtype=COLUMNS["messages"]),
            "response": [talk[1]["content"] for talk in talks],
        }
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    into = tmp_path_factory.mktemp("sft") / "model"
    curve = sft.train(rows(240), engine=BASE, into=into, epochs=2, lr=4e-3, batch=16, max_length=256)
    return into, curve


def test_the_loss_falls_and_the_curve_is_kept(trained):
    curve = trained[1]
    assert curve.columns == ["id", "step", "loss", "lr"]
    assert curve["step"].to_list() == [10, 20, 30]
    assert curve["loss"][-1] < curve["loss"][0] / 2


def test_the_trained_model_is_an_engine_that_has_learnt_to_end_its_turn(trained):
    asks = [tuple(turns) for turns in verified.tasks(count=30)["messages"].to_list()]
    requests = [Request(i, messages=ask, sampling=Sampling(max_tokens=80)) for i, ask in enumerate(asks)]
    before = in_order(Local(BASE).write(requests), 30)
    after = in_order(Local(Spec("local", str(trained[0]))).write(requests), 30)
    assert sum(reply.finish == "stop" for reply in before) <= 3
    assert sum(reply.finish == "stop" for reply in after) >= 20


def test_the_same_seed_trains_the_same_model(trained, tmp_path):
    sft.train(rows(240), engine=BASE, into=tmp_path / "model", epochs=2, lr=4e-3, batch=16, max_length=256)
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == (trained[0] / "model.safetensors").read_bytes()


def test_the_loss_lies_on_what_the_assistant_says_and_on_its_end_of_turn():
    tokenizer = AutoTokenizer.from_pretrained(POCKET / "base")
    talk = rows(1)["messages"].to_list()[0]
    found = tokenizer.apply_chat_template(talk, return_dict=True, return_assistant_tokens_mask=True)
    borne = [token for token, mask in zip(found["input_ids"], found["assistant_masks"], strict=True) if mask]
    assert tokenizer.decode(borne) == talk[1]["content"] + "<|im_end|>"


def test_rows_without_an_answer_are_no_training_data(tmp_path):
    table = rows(3).with_columns(response=pl.lit(None, dtype=pl.String))
    with pytest.raises(DataError, match="no answered row"):
        sft.train(table, engine=BASE, into=tmp_path / "model")


def test_a_template_without_marks_for_the_assistant_is_refused(tmp_path):
    import shutil

    folder = shutil.copytree(POCKET / "base", tmp_path / "unmarked")
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("{% generation %}", "").replace("{% endgeneration %}", ""))
    with pytest.raises(EngineError, match=r"cannot be trained on conversations: .*generation"):
        sft.train(rows(3), engine=Spec("local", str(folder)), into=tmp_path / "model")
