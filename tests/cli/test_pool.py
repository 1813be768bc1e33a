import json
from pathlib import Path

import polars as pl
import pytest


def test_scores_become_columns_that_a_selection_reads(attar, pool):
    summary = attar(
        "score", pool, "--with", "g", "--kind", "fake", "--what", "helpfulness,quality", "-o", "scored.parquet", "--json"
    )
    scored = pl.read_parquet("scored.parquet")
    assert summary["written"] == len(scored) == 10
    assert scored["helpfulness"].is_between(0, 10).all()
    assert scored["quality"].is_between(1, 5).all()
    attar("select", "scored.parquet", "--by", "helpfulness * quality", "--keep", "1", "-o", "best.jsonl", "-q")
    best = scored.sort(pl.col("helpfulness") * pl.col("quality"), descending=True)["id"][0]
    assert json.loads(Path("best.jsonl").read_text())["id"] == best


def test_every_row_gets_its_vector_of_length_one_however_many_are_written_at_once(attar, pool, monkeypatch):
    monkeypatch.setattr("attar.api.pool.output._BATCH", 3)
    attar("embed", pool, "-o", "v.parquet", "-q")
    found = pl.read_parquet("v.parquet")
    vectors = found["embedding"]
    same = found.group_by("embedding").agg(pl.col("id").sort()).filter(pl.col("id").list.len() > 1)["id"].to_list()
    assert same == [["r3", "r6"]]  # which differ by their case alone
    assert len(vectors) == 10
    assert vectors.list.eval(pl.element() ** 2).list.sum().to_list() == pytest.approx([1] * 10, abs=1e-5)


def test_scorers_score_each_turn_and_what_they_say_together_is_there_too(attar, pool):
    asked = ("--with", "c", "--with", "q", "--kind", "fake", "--question", "complexity", "--question", "quality")
    attar("score", pool, *asked, "--what", "complexity,quality", "-o", "scored.parquet", "-q")
    rows = pl.read_parquet("scored.parquet").to_dicts()
    assert len(rows) == 10
    for row in rows:  # each is one turn
        assert row["complexity_turns"] == [row["complexity"]]
        assert row["evol"] == pytest.approx(row["complexity"] * row["quality"])
        assert 1 <= row["complexity"] <= 6


def test_a_new_score_takes_the_place_of_one_of_that_name_and_it_is_said(attar, tmp_path):
    (tmp_path / "p.jsonl").write_text(json.dumps({"prompt": "p", "response": "r", "quality": -5}))
    asked = ("score", "p.jsonl", "--with", "g", "--kind", "fake", "--what", "quality", "-o", "s.jsonl")
    assert attar(*asked, "--json")["replaced"] == ["quality"]
    assert json.loads(Path("s.jsonl").read_text())["quality"] >= 1
    assert "replaces POOL's own column: quality" in attar(*asked)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--with", "a", "--with", "b", "--what", "quality"], "2 models for 1 scores (quality)"),
        (["--with", "a", "--what", "complexity"], "there is no rubric 'complexity' for a judge"),
        (["--with", "a", "--what", "complexity", "--question", "nowhere.txt"], "question 'nowhere.txt' is no file"),
    ],
)
def test_a_score_that_nobody_can_give_is_refused_before_anything_is_asked(attar, pool, words, message):
    err = attar("score", pool, *words, "--kind", "fake", "-o", "out.jsonl", "-q", code=2)
    assert message in err
    assert err.count("\n") == 1
    assert not Path("out.jsonl").exists()


def test_the_summary_shows_how_many_groups_of_repeats_there_were(attar, tmp_path):
    said = ["one and the same", "One and  the same", "ONE AND THE SAME", "something else", "something else", "alone"]
    Path("pool.jsonl").write_text("".join(json.dumps({"prompt": text, "response": "Yes."}) + "\n" for text in said))
    found = attar("dedup", "pool.jsonl", "--how", "exact", "-o", "out.jsonl", "--json")["dropped"]["exact"]
    assert (found["rows"], found["groups"]) == (3, 2)
    assert "repeats a conversation; 2 groups of similar rows" in attar(
        "dedup", "pool.jsonl", "--how", "exact", "-o", "out.jsonl"
    )


def test_vectors_that_the_pool_has_are_not_embedded_again(attar, pool):
    assert "the pool has these vectors already" in attar("embed", pool, "--with", "column:mini", "-o", "x.jsonl", "-q", code=2)
    assert not Path("x.jsonl").exists()
