import json
from pathlib import Path

import polars as pl
import pytest
from pools_for_tests import WORDS, verdicts


def test_however_many_rows_have_no_letters_the_others_are_compared(attar):
    rows = [
        {"id": str(i), "prompt": " " if i > 4 else WORDS[i], "response": "?" if i > 4 else f"Answer {i}"} for i in range(30)
    ]
    Path("blank.jsonl").write_text("\n".join(map(json.dumps, rows)))
    summary = attar("select", "blank.jsonl", "--on", "prompt", "--diverse", "--json")
    assert (summary["kept"], summary["dropped"]["embed"]["reasons"]) == (5, {"no prompt": 25})


def test_rows_that_are_alike_make_room_for_others_and_letters_are_said_to_be_wording(attar, pool):
    summary = attar("select", pool, "--by", "score", "--diverse", "--keep", "6", "--verdicts", "v.parquet", "--json")
    found = verdicts("v.parquet")
    assert [name for name, row in found.items() if row["kept"]] == ["r1", "r5", "r6", "r7", "r8", "r9"]
    assert {name: found[name]["because"] for name in ("r3", "r4")} == {"r3": "r6", "r4": "r7"}
    assert found["r4"]["reason"].startswith("cosine ")
    assert found["r2"]["reason"] == "no score"
    assert (found["r0"]["step"], found["r0"]["reason"]) == ("diverse", "behind the 6 that are kept")
    assert summary["notes"] == ["embedded by letters: similarity is of wording, not of meaning"]


def test_other_knobs_hash_no_letters_again(attar, pool):
    def done():
        return {path.parent.name: path.stat().st_mtime_ns for path in Path(".attar/steps").glob("embed.letters-*/card.json")}

    attar("select", pool, "--diverse", "--keep", "3", "-q")
    first = done()
    attar(
        "select",
        pool,
        "--where",
        "score > 2",
        "--by",
        "score",
        "--dedup",
        "exact,semantic",
        "--alike",
        "0.5",
        "--keep",
        "3",
        "-q",
    )
    assert len(first) == 1
    assert done() == first


def test_a_model_embeds_what_is_left_and_no_text_twice(attar, pool):
    from attar.engines.journal import Journal

    def count_requests():
        journal = Journal(Path(".attar/journal.sqlite"))
        found = journal.stats()
        journal.close()
        return found["asked"], found["recalled"]

    fake = ("--kind", "fake", "--embed", "e")
    attar("select", pool, "--dedup", "exact", "--diverse", *fake, "--keep", "3", "-q")
    assert count_requests() == (9, 0)
    attar("select", pool, "--where", "score > 4 AND score <> 6", "--diverse", *fake, "--keep", "3", "-q")
    assert count_requests() == (9, 4)


@pytest.fixture
def brought(tmp_path):
    """Five rows with vectors: b is like a, d like c, e has none; their wording says nothing of it."""
    vectors = {"a": [1, 0, 0], "b": [2, 0.01, 0], "c": [0, 0, 1.5], "d": [0, 0.02, 3], "e": None}
    rows = [
        {"id": name, "prompt": f"{WORDS[i]} {WORDS[-i]}", "response": "r", "mini": v}
        for i, (name, v) in enumerate(vectors.items())
    ]
    (tmp_path / "v.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return Path("v.jsonl")


@pytest.mark.parametrize("words", [("select", "--diverse"), ("dedup", "--how", "semantic")], ids=" ".join)
@pytest.mark.parametrize("name", ["v.jsonl", "w.parquet", "w.json", "w"])
def test_vectors_that_the_pool_has_are_compared_and_none_is_made(attar, brought, words, name):
    if name != brought.name:
        attar("convert", brought, name, "--to", "sharegpt")
    command, *more = words
    summary = attar(command, name, *more, "--embed", "column:mini", "--verdicts", "v.parquet", "-o", "out.parquet", "--json")
    dropped = {row: (v["step"], v["because"]) for row, v in verdicts("v.parquet").items() if not v["kept"]}
    step = "diverse" if command == "select" else "semantic"
    assert dropped == {"b": (step, "a"), "d": (step, "c"), "e": ("vectors", None)}
    assert verdicts("v.parquet")["e"]["reason"] == "no mini"
    assert summary["notes"][-1] == "compared by the vectors in POOL's column 'mini'"
    assert not [path for path in Path(".attar/steps").iterdir() if "embed" in path.name]
    assert pl.read_parquet("out.parquet")["mini"].to_list() == [[1, 0, 0], [0, 0, 1.5]]


@pytest.mark.parametrize(
    ("vector", "words", "message"),
    [
        ([1, 2], ["column:mini"], "row 'a' has 3 numbers, row 'x' has 2"),
        ([0, 0, 0], ["column:mini"], "column 'mini': row 'x' is a zero or non-finite vector"),
        (["1"], ["column:mini"], "column 'mini' holds String, not vectors: each must be a list of numbers, or null"),
        (None, ["column:min"], "the pool has no column 'min'; did you mean 'mini'?"),
        (None, ["column:"], "'column:' does not name the column of vectors"),
        (None, ["column:mini", "--url", "http://x"], "--url names a server, but column:mini does not use one"),
    ],
)
def test_vectors_that_cannot_be_compared_are_one_line_that_names_the_row_or_the_column(attar, brought, vector, words, message):
    with brought.open("a") as stream:
        stream.write("\n" + json.dumps({"id": "x", "prompt": "p", "response": "r", "mini": vector}))
    err = attar("select", brought, "--diverse", "-q", "--embed", *words, code=2)
    assert message in err
    assert err.count("\n") == 1


def test_vectors_that_were_embedded_before_are_used_again_and_a_story_cuts_them_short(attar, pool):
    attar("embed", pool, "-o", "v.jsonl", "-q")
    summary = attar(
        "select", "v.jsonl", "--embed", "column:embedding", "--by", "score", "--diverse", "--verdicts", "v.parquet", "--json"
    )
    dropped = {row: v["because"] for row, v in verdicts("v.parquet").items() if v["step"] == "diverse"}
    assert dropped == {"r3": "r6", "r4": "r7"}  # as letters have it
    story = attar("why", summary["run"], "r9")
    assert "... 512 numbers]" in story
    assert len(story) < 3000


def test_of_rows_alike_by_their_vectors_the_best_stays(attar, pool):
    attar("dedup", pool, "--how", "semantic", "--by", "score", "--verdicts", "v.parquet", "-q")
    dropped = {name: row["because"] for name, row in verdicts("v.parquet").items() if row["step"] == "semantic"}
    assert dropped == {"r3": "r6", "r4": "r7"}
