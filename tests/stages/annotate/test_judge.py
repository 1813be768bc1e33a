from math import log

import polars as pl
import pytest
from engines_for_tests import Scripted

from attar.core.errors import RecipeError
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.stages.annotate import judge

ROWS = pl.DataFrame({"id": ["a", "b"], "prompt": ["Say {response}", "Hi"], "response": ["{prompt} done", None]})


def test_prompt_and_response_stand_in_the_question_as_they_are_and_a_missing_one_is_not_asked():
    engine = Scripted(lambda _: [log(0.1)] * 9 + [log(0.05)] * 2)
    out = judge.score(ROWS, engine=engine)
    (asked,) = engine.asked
    assert asked.messages[1]["content"] == "Instruction:\nSay {response}\n\nAnswer:\n{prompt} done\n\nYour grade:"
    assert asked.labels == tuple(map(str, range(11)))
    assert out["score"][0] == pytest.approx((0.1 * 36 + 0.05 * 19) / 1.0)
    assert out["score_mass"][0] == pytest.approx(1.0)
    assert out["score_error"].to_list() == [None, "nothing to judge"]


def test_a_failed_reply_keeps_its_reason_and_a_rubric_is_named_rightly():
    out = judge.score(ROWS.head(1), engine=Scripted(lambda _: ValueError("down")), rubric="quality", into="q")
    assert out["q_error"].to_list() == ["down"]
    with pytest.raises(RecipeError, match="unknown rubric 'help'"):
        judge.score(ROWS, engine=Scripted(str), rubric="help")


def test_no_rows_have_no_scores():
    out = judge.score(ROWS.clear(), engine=Scripted(str))
    assert out.schema["score"] == pl.Float64
    assert len(out) == 0


def test_on_a_real_model_the_score_is_the_mean_under_its_own_next_token_probabilities():
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from attar.engines.local.spec import POCKET

    question, answer = "Repeat these words: cat dog.", "The answer is cat dog."
    rows = pl.DataFrame({"id": ["a"], "prompt": [question], "response": [answer]})
    teacher = Local(Spec("local", "pocket:teacher", {"dtype": "float64", "threads": 1}))
    found = judge.score(rows, engine=teacher, rubric="pocket").row(0, named=True)

    tokenizer = AutoTokenizer.from_pretrained(POCKET / "teacher")
    model = AutoModelForCausalLM.from_pretrained(POCKET / "teacher", dtype=torch.float64)
    talk = [
        {"role": "system", "content": "Rate this answer from 1 to 5."},
        {"role": "user", "content": f"{question}\nAnswer: {answer}"},
    ]
    text = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    bos = tokenizer.bos_token_id
    if bos is not None and bos in tokenizer.encode("") and ids[0, 0] != bos:
        ids = torch.cat([torch.tensor([[bos]]), ids], dim=1)
    with torch.no_grad():
        chances = model(ids).logits[0, -1].softmax(-1)
    five = [chances[tokenizer.encode(str(number), add_special_tokens=False)[-1]].item() for number in range(1, 6)]
    near = 1e-6  # the engine takes its log-probabilities in 32 bits
    assert found["score_mass"] == pytest.approx(sum(five), abs=near)
    assert found["score"] == pytest.approx(sum(n * p for n, p in zip(range(1, 6), five, strict=True)) / sum(five), abs=near)
    assert sum(five) > 0.95
