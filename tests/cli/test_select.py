import json
from pathlib import Path

import polars as pl
import pytest
from pools_for_tests import verdicts


def test_the_best_are_kept_and_every_row_has_a_reason(attar, pool):
    summary = attar(
        *("select", pool, "--by", "score", "--where", "lang = 'en' OR score <> 8", "--dedup", "exact,near", "--keep", "3"),
        *("-o", "out.jsonl", "--verdicts", "v.parquet", "--json"),
    )
    found = verdicts("v.parquet")
    assert list(found) == ["r0", "r1", "r2", "r3", "r4", "pool:6", "r5", "r6", "r7", "r8", "r9"]
    assert {name: row["step"] for name, row in found.items() if not row["kept"]} == {
        "pool:6": "read",
        "r8": "where",
        "r2": "where",
        "r3": "exact",
        "r4": "near",
        "r0": "budget",
        "r1": "budget",
        "r5": "budget",
    }
    assert found["r3"]["because"] == "r6"
    assert found["r4"]["because"] == "r7"
    assert found["r2"]["reason"].startswith("unknown: ")
    assert found["r5"]["reason"] == "rank 4 by score, 3 kept"
    rows = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert [(row["id"], row["score"], row["lang"]) for row in rows] == [("r6", 6.0, "de"), ("r7", 7.0, "en"), ("r9", 9.0, "en")]
    assert rows[2]["messages"][0] == {"role": "user", "content": "Question 9"}
    assert (summary["rows"], summary["kept"], summary["written"]) == (11, 3, 3)
    assert {step: dropped["rows"] for step, dropped in summary["dropped"].items()} == {
        "read": 1,
        "where": 2,
        "exact": 1,
        "near": 1,
        "budget": 3,
    }
    assert summary["characters"] == sum(len(row["messages"][0]["content"] + row["messages"][1]["content"]) + 1 for row in rows)


def test_without_an_expression_the_first_rows_stay_and_it_is_said(attar, pool):
    out = attar("select", pool, "--dedup", "exact", "--keep", "5", "--verdicts", "v.parquet")
    found = verdicts("v.parquet")
    assert [name for name, row in found.items() if row["kept"]] == ["r0", "r1", "r2", "r3", "r4"]
    assert (found["r6"]["step"], found["r6"]["because"]) == ("exact", "r3")
    assert found["r5"]["reason"] == "after the first 5"
    assert "no --by: earlier rows of the pool are preferred" in out
    assert "-1  exact     repeats a conversation" in out


def test_what_is_kept_is_shared_out_in_the_pools_order_too_and_among_all_rows_that_differ(attar, pool):
    attar("select", pool, "--where", "lang = 'de' OR score > 4", "--per", "lang", "--keep", "4", "--verdicts", "v.parquet")
    assert [name for name, row in verdicts("v.parquet").items() if row["kept"]] == ["r0", "r2", "r5", "r7"]
    attar("select", pool, "--by", "score", "--diverse", "--per", "lang", "--keep", "6", "--verdicts", "v.parquet")
    kept = [name for name, row in verdicts("v.parquet").items() if row["kept"]]
    assert kept == ["r0", "r5", "r6", "r7", "r8", "r9"]


def test_a_home_that_was_moved_is_chosen_from_again(attar, pool):
    attar("select", pool, "--keep", "3", "--home", "one/home", "-q")
    Path("one").rename("other")
    assert attar("select", pool, "--keep", "4", "--home", "other/home", "--json")["kept"] == 4


def test_a_budget_of_tokens_says_how_they_are_counted(attar, pool):
    summary = attar("select", pool, "--by", "score", "--tokens", "50", "--verdicts", "v.parquet", "--json")
    assert summary["notes"] == ["tokens counted as conversation_chars / 4"]
    assert 0 < summary["kept"] < 9
    assert summary["characters"] <= 200
    assert attar("select", pool, "--by", "score", "--tokens", "4", "--cost", "2", "--json")["kept"] == 2


def test_strata_share_what_is_kept(attar, pool):
    attar("select", pool, "--by", "score", "--per", "lang", "--keep", "4", "--verdicts", "v.parquet")
    assert sorted(name for name, row in verdicts("v.parquet").items() if row["kept"]) == ["r6", "r7", "r8", "r9"]


@pytest.mark.parametrize("name", ["out.jsonl", "out.json", "out.parquet", "folder"])
def test_what_is_kept_can_be_selected_from_again_whatever_the_file(attar, pool, name):
    attar("dedup", pool, "-o", name, "--to", "sharegpt", "-q")
    again = attar("select", name, "--by", "score", "--keep", "2", "-o", "two.jsonl", "--json")
    assert (again["rows"], again["kept"]) == (8, 2)
    assert [json.loads(line)["id"] for line in Path("two.jsonl").read_text().splitlines()] == ["r8", "r9"]


def test_a_kept_row_that_the_format_cannot_say_is_counted_and_named(attar, tmp_path):
    turns = [{"role": role, "content": role[0] * 3} for role in ("user", "assistant", "user", "assistant")]
    lines = [{"id": "long", "messages": turns}, {"id": "short", "messages": turns[:2]}]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, lines)))
    summary = attar("select", "p.jsonl", "--keep", "2", "-o", "out.jsonl", "--to", "alpaca", "--json")
    assert (summary["kept"], summary["written"], summary["refused"]["rows"]) == (2, 1, 1)
    assert json.loads(Path("out.jsonl.rejected.jsonl").read_text())["id"] == "long"


def test_a_column_that_comes_up_late_is_there_from_the_first_row(attar, tmp_path):
    rows = [
        {"prompt": f"p{number}", "response": "r", **({"late": "yes"} if number == 20_500 else {})} for number in range(20_600)
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    summary = attar("select", "p.jsonl", "--where", "late = 'yes' OR prompt = 'p3'", "-o", "out.parquet", "--json")
    assert summary["kept"] == 2
    assert pl.read_parquet("out.parquet").select("id", "late").rows() == [("p:4", None), ("p:20501", "yes")]


def test_reading_that_was_stopped_begins_again_and_no_row_comes_twice(attar, pool, monkeypatch):
    from attar.stages.pool import read_parts

    def stopped(**knobs):
        yield next(read_parts(**knobs)).head(3)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("attar.stages.pool.read_parts", stopped)
        assert "run the same command to continue" in attar("select", pool, "--keep", "4", "-q", code=130)
    summary = attar("select", pool, "--keep", "4", "--json")
    assert (summary["rows"], summary["kept"]) == (11, 4)


def test_what_is_kept_is_written_once_and_the_pool_not_again(attar, pool):
    attar("select", pool, "--keep", "4", "-o", "out.jsonl", "-q")
    attar("score", pool, "--with", "g", "--kind", "fake", "--what", "quality", "-o", "scored.jsonl", "-q")
    assert [len(Path(name).read_text().splitlines()) for name in ("out.jsonl", "scored.jsonl")] == [4, 10]
    runs = Path(".attar/runs")
    assert {path.stem.split("-")[0] for path in runs.glob("*.json")} == {"selection", "scoring"}
    assert not list(runs.glob("*.dataset"))


def test_a_rows_story_tells_where_it_was_dropped(attar, pool):
    summary = attar("select", pool, "--dedup", "exact", "--keep", "5", "--json")
    story = attar("why", summary["run"], "r6", "--json")
    assert ("exact", "r3") in [(chapter["step"], chapter["values"].get("because")) for chapter in story]
    assert {line["state"] for line in attar("status", summary["run"], "--json")} == {"done"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["pool.jsonl", "--by", "scor * 2", "--keep", "2"],
            "--by 'scor * 2': pool.jsonl has no column 'scor'; did you mean 'score'?",
        ),
        (["pool.jsonl", "--where", "long > 2"], "--where 'long > 2': pool.jsonl has no column 'long'; "),
        (["pool.jsonl", "--by", "score *", "--keep", "2"], "rule 'score *' is no expression"),
        (["pool.jsonl", "--keep", "2", "--tokens", "9"], "--keep (rows) and --tokens (tokens) exclude each other"),
        (["pool.jsonl", "--per", "lang", "--diverse"], "--per needs --keep or --tokens"),
        (["pool.jsonl", "--cost", "1", "--keep", "2"], "--cost needs --tokens"),
        (["pool.jsonl"], "no criterion to select by"),
        (["pool.jsonl", "--dedup", "exct"], "--dedup 'exct': did you mean 'exact'?"),
        (["pool.jsonl", "--dedup", "near=much"], "--dedup 'near=much': the limit must be a number"),
        (["pool.jsonl", "--dedup", "near=7"], "--dedup must be > 0 and <= 1, got 7.0"),
        (["pool.jsonl", "--alike", "0"], "--alike must be > 0 and <= 1, got 0.0"),
        (["pool.jsonl", "--keep", "2", "--embed", "x"], "--embed needs --diverse or --dedup semantic"),
        (["pool.jsonl", "--keep", "2", "--on", "prompts"], "--on 'prompts': did you mean 'prompt'?"),
        (["pol.jsonl", "--keep", "2"], "pol.jsonl does not exist; did you mean 'pool.jsonl'?"),
        (["pool.jsonl", "--keep", "2", "-o", "pool.jsonl"], "pool.jsonl is (or contains) the source"),
        (["pool.jsonl", "--keep", "2", "-o", "taken"], "taken exists already: choose a new folder"),
        (["pool.jsonl", "--keep", "2", "-o", "out.txt"], "out.txt: cannot write .txt"),
        (
            ["pool.jsonl", "--keep", "2", "-o", "out.jsonl", "--to", "alpacca"],
            "unknown format 'alpacca'; did you mean 'alpaca'?",
        ),
        (["pool.jsonl", "--keep", "2", "--verdicts", "v.xlsx"], "v.xlsx: verdicts must be a file of .parquet, .jsonl, .csv"),
        (
            ["pool.jsonl", "--keep", "2", "--from", "alpaca"],
            "no row could be read; the first reason: the key 'instruction' is missing",
        ),
        (["nobody/nothing", "--keep", "2"], "nobody/nothing is not a local file and could not be read from the Hub"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do_and_nothing_is_written(attar, pool, monkeypatch, words, message):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    Path("taken").mkdir()
    before = pool.read_bytes()
    err = attar("select", *words, "-q", code=2)
    assert err.startswith("attar: ")
    assert err.count("\n") == 1
    assert message in err
    assert pool.read_bytes() == before
    assert sorted(path.name for path in Path().iterdir() if not path.name.startswith(".")) == ["pool.jsonl", "taken"]


def test_scores_are_read_from_columns_of_the_pool_only(attar, pool):
    assert "did you mean 'conversation_chars'?" in attar(
        "select", pool, "--by", "conversation_char", "--keep", "1", "-q", code=2
    )
