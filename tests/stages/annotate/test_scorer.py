from math import inf, log

import polars as pl
import pytest
from engines_for_tests import Scripted
from spaced_for_tests import save_model

from attar.core.errors import RecipeError
from attar.core.scorer_prompts import Question, write_question
from attar.core.table import COLUMNS
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.stages.annotate import scorer

USER, SAID = "user", "assistant"
SIX = [0.1, 0.2, 0.3, 0.2, 0.1, 0.05]  # together 0.95, their mean (0.1 + 0.4 + 0.9 + 0.8 + 0.5 + 0.3) / 0.95
MEAN = 3.0 / 0.95


def talks(*rows, **more):
    made = [[{"role": role, "content": text} for role, text in row] for row in rows]
    return pl.DataFrame(
        {"id": [str(i) for i in range(len(rows))], "messages": pl.Series(made, dtype=COLUMNS["messages"]), **more}
    )


def weights(chances):
    return [log(chance) if chance else -inf for chance in chances]


def by_text(**chances):
    """An engine whose weights hang on a word of the question."""
    return Scripted(lambda request: weights(next(found for word, found in chances.items() if word in request.text)))


TWO = talks([("system", "Be brief."), (USER, "first {response}"), (SAID, "one"), (USER, "second"), (SAID, "two")])


def test_each_turn_is_asked_for_itself_and_a_conversation_is_the_sum():
    engine = by_text(first=SIX, second=[0, 0, 0, 0, 0, 0.5])
    out = scorer.score(TWO, engine=engine, what="quality", question="quality").row(0, named=True)
    assert [request.text for request in engine.asked] == [
        "An instruction:\nfirst {response}\n\nAn answer to it:\none\n\nHow good is the answer, as a number?\n",
        "An instruction:\nsecond\n\nAn answer to it:\ntwo\n\nHow good is the answer, as a number?\n",
    ]
    assert {request.labels for request in engine.asked} == {("1", "2", "3", "4", "5", "6")}
    assert out["quality_turns"] == pytest.approx([MEAN, 6.0])
    assert out["quality"] == pytest.approx(MEAN + 6)
    assert out["quality_mass"] == pytest.approx(0.5)
    assert out["quality_error"] is None


def test_a_turn_without_a_score_leaves_the_conversation_without_one():
    engine = by_text(first=SIX, second=[0.01] * 6)
    out = scorer.score(TWO, engine=engine, question="complexity", into="c").row(0, named=True)
    assert out["c"] is None
    assert out["c_turns"] == [pytest.approx(MEAN), None]
    assert out["c_mass"] == pytest.approx(0.06)
    assert out["c_error"] == "turn 2: the judge gives the answers that may be 0.06 of its probability"


def test_the_last_answer_may_stand_beside_the_conversation_and_a_missing_one_only_matters_to_quality():
    rows = talks([(USER, "a")], [(USER, "b")], [(SAID, "c")], response=["said", None, None])
    engine = by_text(instruction=SIX)
    good = scorer.score(rows, engine=engine, what="quality", question="quality")
    assert [request.text for request in engine.asked] == [
        "An instruction:\na\n\nAn answer to it:\nsaid\n\nHow good is the answer, as a number?\n"
    ]
    assert good["quality_error"].to_list() == [None, "no response", "no user turn"]
    assert good["quality_turns"].to_list() == [[pytest.approx(MEAN)], [None], []]
    hard = scorer.score(rows, engine=by_text(instruction=SIX), question="complexity")
    assert hard["complexity_error"].to_list() == [None, None, "no user turn"]


def test_the_last_turn_alone_is_read_from_prompt_and_response():
    rows = pl.DataFrame({"id": ["a", "b"], "prompt": ["p", None], "response": ["r", "r"]})
    out = scorer.score(rows, engine=by_text(p=SIX), what="quality", question="quality", turns="last")
    assert out["quality"][0] == pytest.approx(MEAN)
    assert out["quality_error"].to_list() == [None, "no prompt"]


def test_a_failed_reply_keeps_its_reason_and_no_rows_have_no_scores():
    rows = pl.DataFrame({"id": ["a"], "prompt": ["p"]})
    failing = Scripted(lambda _: ValueError("down"))
    out = scorer.score(rows, engine=failing, question="complexity", turns="last")
    assert out["complexity_error"].to_list() == ["down"]
    none = scorer.score(TWO.clear(), engine=failing, question="complexity")
    assert none.schema["complexity_turns"] == pl.List(pl.Float64)
    assert none.schema["complexity"] == pl.Float64


def test_evol_is_the_sum_over_turns_of_the_products_and_says_what_is_missing():
    rows = pl.DataFrame(
        {
            "id": list("abcde"),
            "complexity_turns": [[2.0, 3.0], [2.0], [1.0, None], [1.0], []],
            "complexity_error": [None, None, "turn 2: x", None, None],
            "quality_turns": [[4.0, 5.0], [1.0, 1.0], [1.0, 1.0], [None], []],
            "quality_error": [None, None, None, "no response", None],
        }
    )
    out = scorer.evol(rows)
    assert out["evol"].to_list() == [2 * 4 + 3 * 5, None, None, None, None]
    assert out["evol_error"].to_list() == [
        None, "complexity of 1 turns, quality of 2", "complexity: turn 2: x", "quality: no response", "a turn has no score",
    ]  # fmt: skip


def test_an_engine_that_does_not_say_what_it_is_asked_must_be_told():
    with pytest.raises(RecipeError, match=r"fake engine scripted has no scorer question .* 'question'"):
        scorer.score(TWO, engine=Scripted(str))
    with pytest.raises(RecipeError, match=r"local engine pocket:base has no scorer question"):
        scorer.score(TWO, engine=Local(Spec("local", "pocket:base")))


@pytest.fixture
def folder(tmp_path):
    """The folder of a scorer of depth, as training leaves it."""
    made = tmp_path / "scorer"
    save_model(made)
    write_question(made, Question("depth", "Depth of {prompt}? ", (0, 1)), {})
    return made


@pytest.mark.parametrize("option", ["model", "tokenizer"])
def test_a_scorer_s_folder_says_what_it_is_asked(folder, option):
    engine = by_text(Depth=[0.25, 0.75])
    engine.spec = Spec("local", str(folder)) if option == "model" else Spec("http", "m", {"tokenizer": str(folder)})
    out = scorer.score(TWO, engine=engine, what="depth")
    assert [(request.text, request.labels) for request in engine.asked] == [
        ("Depth of first {response}? ", ("0", "1")),
        ("Depth of second? ", ("0", "1")),
    ]
    assert out["depth"][0] == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"what": "quality"}, "what 'depth', got 'quality'"),
        ({"what": "depth", "question": "complexity"}, r"question 'Depth of \{prompt\}\? ', got 'An instruction"),
        ({"what": "depth", "labels": (0, 1, 2)}, r"labels \(0, 1\), got \(0, 1, 2\)"),
    ],
)
def test_a_scorer_is_not_asked_other_than_it_was_trained(folder, knobs, said):
    with pytest.raises(RecipeError, match=f"was trained as a scorer with {said}"):
        scorer.score(TWO, engine=Local(Spec("local", str(folder))), **knobs)


def test_a_scorer_from_elsewhere_is_asked_by_a_file_and_its_digits_weigh_what_they_weigh_to_transformers(tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = save_model(tmp_path / "published")
    file = tmp_path / "question.txt"
    file.write_text("#Q: {prompt}\n#A: {response} \n#Score: \n")
    rows = pl.DataFrame({"id": ["a"], "prompt": ["why so"], "response": ["it is so"]})
    engine = Local(Spec("local", str(folder), {"threads": 1, "dtype": "float64"}))
    out = scorer.score(rows, engine=engine, what="quality", question=str(file), turns="last", least_mass=0.0)

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    with torch.no_grad():
        chances = (
            model(tokenizer("#Q: why so\n#A: it is so \n#Score: ", return_tensors="pt").input_ids).logits[0, -1].softmax(-1)
        )
    six = [chances[tokenizer.convert_tokens_to_ids(str(number))].item() for number in range(1, 7)]
    assert out["quality_mass"][0] == pytest.approx(sum(six), rel=1e-5)
    assert out["quality"][0] == pytest.approx(sum(n * p for n, p in zip(range(1, 7), six, strict=True)) / sum(six), rel=1e-5)


def test_a_model_that_was_not_trained_to_score_has_no_score():
    rows = pl.DataFrame({"id": ["a", "b"], "prompt": ["What is 3 plus 4?", "Write dog 8 times."]})
    out = scorer.score(rows, engine=Local(Spec("local", "pocket:base", {"threads": 1})), question="complexity", turns="last")
    assert out["complexity"].to_list() == [None, None]
    assert all(mass < 0.1 for mass in out["complexity_mass"])
    assert all("of its probability" in error for error in out["complexity_error"])
