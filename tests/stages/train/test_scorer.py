import json
from random import Random

import polars as pl
import pytest
from spaced_for_tests import save_model

from attar.core.errors import DataError, RecipeError
from attar.core.scorer_prompts import WORDINGS
from attar.core.stage import columns_read
from attar.core.table import Table
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.pocket.speech import instruct, respond
from attar.pocket.tasks import draw_task, level
from attar.stages.annotate import scorer as annotate
from attar.stages.train import scorer

BASE = Spec("local", "pocket:base", {"threads": 1})
QUICK = {"lr": 4e-3, "batch": 16, "max_length": 256}


def tasks(count, seed=0, held=False) -> Table:
    """Tasks of the pocket world with their true level as score."""
    rng = Random(seed)
    drawn = [draw_task(rng, held=held) for _ in range(count)]
    return pl.DataFrame(
        {
            "id": [f"{seed}-{i}" for i in range(count)],
            "prompt": [instruct(task, rng) for task in drawn],
            "response": [respond(task) for task in drawn],
            "score": [level(task) for task in drawn],
        }
    )


def broken_off(rows, rng) -> Table:
    """Half of the rows with a response that breaks off before its answer: 1 for those, 6 for the others."""
    whole = [rng.random() < 0.5 for _ in range(len(rows))]
    ends = [
        text if kept else text[: text.rindex("The answer")] + "The" for text, kept in zip(rows["response"], whole, strict=True)
    ]
    return rows.with_columns(response=pl.Series(ends), score=pl.Series([6 if kept else 1 for kept in whole]))


def spearman(table, one, other):
    return table.select(pl.corr(one, other, method="spearman")).item()


@pytest.fixture(scope="module")
def complexity(tmp_path_factory):
    into = tmp_path_factory.mktemp("complexity") / "model"
    rows = pl.concat([tasks(240), tasks(5, seed=1).with_columns(score=pl.lit(None, dtype=pl.Int64))])
    long = tasks(1, seed=2).with_columns(prompt=pl.lit("sort these: " + "cat " * 300))
    curve = scorer.train(pl.concat([rows, long]), engine=BASE, into=into, epochs=4, **QUICK)
    return into, curve


def test_scores_of_tasks_that_it_has_not_seen_follow_their_true_level(complexity):
    held = tasks(200, seed=3, held=True)
    out = annotate.score(held, engine=Local(Spec("local", str(complexity[0]), {"threads": 1})), turns="last")
    assert out["complexity_error"].null_count() == 200
    assert out["complexity_mass"].min() > 0.9
    assert out["complexity"].is_between(1, 3.2).all()  # no level above 3 was ever shown
    assert spearman(out, "complexity", "score") > 0.5  # by chance it would be within 0.22 (three times 1 / sqrt(199))


def test_the_folder_says_what_it_is_asked_and_of_which_rows_it_was_made(complexity):
    said = json.loads((complexity[0] / "scorer.json").read_text())
    assert said == {
        "what": "complexity",
        "question": WORDINGS["complexity"],
        "labels": [1, 2, 3, 4, 5, 6],
        "rows": {"trained on": 240, "without a score": 5, "too long": 1},
    }
    assert [path.name for path in complexity[0].parent.iterdir()] == ["model"]
    assert complexity[1]["loss"][-1] < complexity[1]["loss"][0] / 5


def test_quality_is_learnt_from_the_response_too(tmp_path):
    rows = broken_off(tasks(160), Random(0))
    scorer.train(rows, engine=BASE, into=tmp_path / "model", what="quality", epochs=3, **QUICK)
    held = broken_off(tasks(100, seed=3, held=True), Random(1))
    engine = Local(Spec("local", str(tmp_path / "model"), {"threads": 1}))
    out = annotate.score(held, engine=engine, what="quality", turns="last")
    assert spearman(out, "quality", "score") > 0.5  # by chance within 0.30


@pytest.mark.parametrize("base", ["pocket", "llama"])
def test_only_the_number_and_the_end_of_text_bear_loss_and_the_text_begins_as_the_tokenizer_has_it(base, tmp_path):
    engine = BASE if base == "pocket" else Spec("local", str(save_model(tmp_path / "llama")), {"threads": 1})
    rows = pl.DataFrame({"id": list("ab"), "prompt": ["What is 3?", "Why so?"], "score": [2.0, 10.0]})
    knobs = {"labels": (2, 10), "epochs": 1, "batch": 2, "max_length": 128}
    scorer.train(rows, engine=engine, into=tmp_path / "model", **knobs)
    tokenizer = Local(Spec("local", str(tmp_path / "model"))).tokenizer
    question = WORDINGS["complexity"].replace("{prompt}", "Why so?")
    talk = [{"role": "user", "content": question}, {"role": "assistant", "content": "10"}]
    found = tokenizer.apply_chat_template(talk, return_dict=True, return_assistant_tokens_mask=True)
    borne = [token for token, mask in zip(found["input_ids"], found["assistant_masks"], strict=True) if mask]
    assert tokenizer.convert_ids_to_tokens(borne) == ["1", "0", tokenizer.eos_token]
    asked = found["input_ids"][: -len(borne)]
    assert asked == tokenizer(question).input_ids  # as it will be asked
    assert (asked[0] == tokenizer.bos_token_id) == (base == "llama")


def test_a_label_that_begins_another_is_told_from_it(tmp_path):
    rows = tasks(64).with_columns(score=pl.lit(10))
    knobs = {**QUICK, "batch": 8}
    scorer.train(rows, engine=BASE, into=tmp_path / "model", labels=tuple(range(11)), epochs=3, **knobs)
    out = annotate.score(rows, engine=Local(Spec("local", str(tmp_path / "model"), {"threads": 1})), turns="last")
    assert out["complexity"].min() > 9.0  # "1" with all that goes on from it would halve the score, and double the mass
    assert out["complexity_mass"].is_between(0.9, 1.0001).all()


def test_a_score_that_is_no_label_is_named_with_its_row(tmp_path):
    rows = tasks(3).with_columns(score=pl.Series([1, 7, 2]))
    with pytest.raises(DataError, match=r"row 0-1: score is 7, not one of the labels 1, 2, 3, 4, 5, 6"):
        scorer.train(rows, engine=BASE, into=tmp_path / "model")


def test_without_a_row_to_train_on_it_says_what_is_wrong(tmp_path):
    rows = tasks(3)
    with pytest.raises(DataError, match=r"3 of 3 rows have a score, and none of those has at most 20 tokens"):
        scorer.train(rows, engine=BASE, into=tmp_path / "model", max_length=20)
    with pytest.raises(DataError, match=r"0 of 3 rows have a score"):
        scorer.train(rows.with_columns(score=pl.lit(None)), engine=BASE, into=tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_only_the_columns_that_the_question_asks_about_are_read():
    assert columns_read(scorer.train, {}) == ("prompt", "score")
    assert columns_read(scorer.train, {"what": "quality", "column": "rank"}) == ("prompt", "response", "rank")
    with pytest.raises(RecipeError, match="no question of ours on 'depth'"):
        columns_read(scorer.train, {"what": "depth"})
