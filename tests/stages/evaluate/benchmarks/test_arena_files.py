import json

import polars as pl
import pytest

from attar.core.errors import DataError
from attar.stages.evaluate.benchmarks import arena_files, arena_scores


def line(out, name):
    return out.row(by_predicate=pl.col("id") == name, named=True)


def record(**more):
    games = [{"score": "B>>A", "judgment": "..."}, {"score": "A=B", "judgment": "..."}]
    return {"uid": "u1", "category": "hard_prompt", "judge": "j", "model": "m", "baseline": "base", "games": games, **more}


def answer(model, text):
    return {"uid": "u1", "model": model, "messages": [{"role": "user", "content": "Why?"}, {"content": {"answer": text}}]}


def lines(path, *rows):
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_published_judgments_are_read_with_their_answers(tmp_path):
    judged = lines(tmp_path / "m.jsonl", record(), record(uid="u2", games=[None, {"score": "A>B"}]))
    texts = lines(
        tmp_path / "a.jsonl",
        answer("m", "ours"),
        answer("base", "theirs"),
        *(answer(m, "") | {"uid": "u2"} for m in ("m", "base")),
    )
    out = arena_files.battles([judged], answers=[texts])
    first, second = out.to_dicts()
    assert (first["id"], first["question"], first["votes"]) == ("j/m/u1", "u1", [1, 1, 1, 0.5])
    assert (first["prompt"], first["response"], first["against"]) == ("Why?", "ours", "theirs")
    assert (second["preference"], second["preference_error"]) == (None, "game 1: no verdict")
    assert line(arena_scores.figures(out), "hard_prompt/m/score")["value"] == pytest.approx(87.5)


def test_the_older_form_names_no_baseline_and_no_category(tmp_path):
    old = record(question_id="u1")
    for name in ("uid", "category", "baseline"):
        del old[name]
    file = lines(tmp_path / "m.jsonl", old)
    with pytest.raises(DataError, match="line 1, names no baseline"):
        arena_files.battles([file])
    out = arena_files.battles([file], baseline="gpt")
    assert (out["opponent"][0], line(arena_scores.figures(out), "all/m/score")["value"]) == ("gpt", pytest.approx(87.5))


def test_files_that_are_no_judgments_are_kept_apart(tmp_path):
    cases = [
        ([record(games=[])], "no two games"),
        ([{"model": "m"}], "no 'uid' or 'question_id'"),
        ([record(), record()], "'j/m/u1' occurs twice"),
        ([[1]], "is no record"),
    ]
    for rows, match in cases:
        with pytest.raises(DataError, match=match):
            arena_files.battles([lines(tmp_path / "x.jsonl", *rows)])
    with pytest.raises(DataError, match="no answer by 'base' to question 'u1'"):
        arena_files.battles([lines(tmp_path / "x.jsonl", record())], answers=[lines(tmp_path / "a.jsonl", answer("m", "ours"))])
