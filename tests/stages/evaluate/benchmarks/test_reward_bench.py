import json
from math import tanh

import polars as pl
import pytest
from engines_for_tests import Scripted

from attar.core.errors import DataError
from attar.stages.evaluate.benchmarks import reward_bench
from attar.stages.evaluate.judging import pairwise


def file(folder, *rows):
    path = folder / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def value(out, name):
    return out.row(by_predicate=pl.col("id") == name, named=True)["value"]


PAIR = {"id": 3, "prompt": "Why?", "chosen": "So.", "rejected": "No.", "subset": "mt-bench-easy"}
FOUR = {"id": "9", "prompt": "Why?", "chosen": ["So."], "rejected": ["a", "b", "c"], "subset": "Math"}


def test_every_form_becomes_a_row_an_answer_the_right_ones_first(tmp_path):
    turns = {"chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}
    turns["rejected"] = [turns["chosen"][0], {"role": "assistant", "content": "Go."}]
    out = reward_bench.answers(source=file(tmp_path, PAIR, FOUR, turns))
    assert out.select("id", "response", "right", "category").rows() == [
        ("3/0", "So.", True, "mt-bench-easy"),
        ("3/1", "No.", False, "mt-bench-easy"),
        ("9/0", "So.", True, "Math"),
        *((f"9/{i}", text, False, "Math") for i, text in enumerate("abc", 1)),
        ("3#3/0", "Hello.", True, None),  # its number, 3, is a name that an earlier row has
        ("3#3/1", "Go.", False, None),
    ]
    assert out["messages"][0].to_list() == [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
    assert out["prompt"].to_list()[-1] == "Hi"


def test_battles_are_all_pairs_of_a_right_and_a_wrong_answer_and_can_be_judged(tmp_path):
    out = reward_bench.battles(source=file(tmp_path, PAIR, {**FOUR, "chosen": ["So.", "Thus."], "rejected": ["a"]}))
    assert out.select("id", "response", "against").rows() == [
        ("3/0-1", "So.", "No."),
        ("9/0-2", "So.", "a"),
        ("9/1-2", "Thus.", "a"),
    ]
    judged = pairwise.ask(out, engine=Scripted(lambda _: "[[A]]"), order="first")
    figures = reward_bench.by_preference(judged)
    assert value(figures, "accuracy") == 1.0
    assert figures["judge"].unique().to_list() == ["scripted"]
    with pytest.raises(DataError, match="row 1: no answer on one of the sides"):
        reward_bench.battles(source=file(tmp_path, {**FOUR, "rejected": []}))
    with pytest.raises(DataError, match=r"row 1: .*needs a prompt, chosen and rejected"):
        reward_bench.answers(source=file(tmp_path, {"prompt": "Why?"}))


def scored(*questions):
    """Answers of (name, category, scores of the right ones, scores of the wrong ones)."""
    rows = [
        {"id": f"{name}/{i}", "question": name, "category": category, "right": i < len(right), "score": score}
        for name, category, right, wrong in questions
        for i, score in enumerate([*right, *wrong])
    ]
    return pl.DataFrame(rows, schema_overrides={"score": pl.Float64})


def test_a_question_is_right_if_a_right_answer_alone_is_the_best_and_in_part_where_it_shares():
    out = reward_bench.by_score(
        scored(
            ("a", "Math", [3], [1, 2, 2]),  # 1
            ("b", "Math", [2], [1, 2, 2]),  # a third
            ("c", "Math", [1], [1.5]),  # 0
            ("d", "Focus", [9], [None]),  # not known, so not right
        )
    )
    assert value(out, "accuracy") == pytest.approx((1 + 1 / 3) / 4)
    assert value(out, "Math/accuracy") == pytest.approx((1 + 1 / 3) / 3)
    assert value(out, "Focus/accuracy") == 0.0
    assert value(out, "unscored") == pytest.approx(1 / 4)


def test_a_section_weighs_its_subsets_as_the_benchmark_does():
    easy, other = "alpacaeval-easy", "mt-bench-easy"
    out = reward_bench.by_score(scored(("a", easy, [2], [1]), ("b", other, [2], [1]), ("c", other, [1], [2])))
    assert value(out, "Chat/section") == pytest.approx((100 * 1 + 28 * 0.5) / 128)
    assert value(out, "accuracy") == pytest.approx(2 / 3)
    assert "Safety/section" not in out["id"].to_list()


def test_a_right_answer_must_be_preferred_to_every_wrong_one():
    rows = [("q", 0.9), ("q", 0.4), ("r", 0.9), ("r", 0.6), ("s", 0.5), ("t", 0.9), ("t", None)]
    table = pl.DataFrame(rows, schema=["question", "preference"], orient="row").with_columns(category=pl.lit("Math"))
    out = reward_bench.by_preference(table)
    assert value(out, "accuracy") == pytest.approx((0 + 1 + 0.5 + 0) / 4)
    assert value(out, "unscored") == pytest.approx(1 / 4)


def test_ties_are_scored_as_worked_out_by_hand():
    # 1: above the wrong one by 1.5, spread 0.5, alone above by 0.5: accurate twice, close, not closer, tanh(0)
    # 2: above by 2, spread 0.5, alone above by 1: all four, tanh(1); 3: below the wrong one, alone above: accurate once
    rows = [
        ("tied:1", "Ties", [5, 4.5], [3]),
        ("ref:1", "Ties", [6], [5.5]),
        ("tied:2", "Ties", [5.5, 5], [3, 1]),
        ("ref:2", "Ties", [6], [5]),
        ("tied:3", "Ties", [4, 2], [3]),
        ("ref:3", "Ties", [6], [5]),
    ]
    out = reward_bench.by_score(scored(*rows))
    each = [0.3 + 0.3 + 0.2, 1 + 0.01 * tanh(1), 0.3 + 0.01 * tanh(-1 / 2 - 1)]
    assert value(out, "Ties/ties") == pytest.approx(sum(each) / 3)
    assert value(out, "Ties/ties_tied") == pytest.approx(2 / 3)
    assert value(out, "Ties/ties_closer") == pytest.approx(1 / 3)
    with pytest.raises(DataError, match="as ref:N and as tied:N"):
        reward_bench.by_score(scored(*rows[:3]))
