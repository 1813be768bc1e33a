import json
import sys
from pathlib import Path

import polars as pl
import pytest

from attar.cli.main import main

WORDS = ["amber", "basin", "cedar", "delta", "ember", "fjord", "grove", "haven", "inlet", "juniper", "kelp", "lagoon", "meadow"]


@pytest.fixture
def attar(tmp_path, monkeypatch, capsys):
    """The command line, in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ATTAR_HOME", raising=False)

    def go(*words, code=0):
        monkeypatch.setattr(sys, "argv", ["attar", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert (ended.value.code or 0) == code, err + out
        return json.loads(out) if "--json" in words else err if code else out

    return go


def talk(number, answer=None, **more):
    words = [WORDS[(number * step + step) % len(WORDS)] for step in range(1, 13)]
    answer = answer or f"{number} " + " ".join(words)
    turns = [{"from": "human", "value": f"Question {number}"}, {"from": "gpt", "value": answer}]
    return {"id": f"r{number}", "conversations": turns, "score": number, **more}


@pytest.fixture
def pool(tmp_path):
    """Ten rows: r3 is said again by r6 but for its case, r4 but for a word by r7; a line is broken; r2 has no score."""
    rows = [talk(number, lang="en" if number % 2 else "de") for number in range(10)]
    rows[6]["conversations"] = json.loads(
        json.dumps(rows[3]["conversations"]).upper().replace("FROM", "from").replace("VALUE", "value")
    )
    rows[6]["conversations"][0]["from"], rows[6]["conversations"][1]["from"] = "human", "gpt"
    rows[7]["conversations"] = json.loads(json.dumps(rows[4]["conversations"]))
    rows[7]["conversations"][1]["value"] += " indeed"
    rows[2]["score"] = None
    lines = [json.dumps(row) for row in rows]
    (tmp_path / "pool.jsonl").write_text("\n".join([*lines[:5], "{broken", *lines[5:]]) + "\n")
    return Path("pool.jsonl")


def verdicts(file):
    return {row["id"]: row for row in pl.read_parquet(file).to_dicts()}


def test_the_best_are_kept_and_every_row_has_a_reason(attar, pool):
    told = attar(
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
    assert (told["rows"], told["kept"], told["written"]) == (11, 3, 3)
    assert {step: dropped["rows"] for step, dropped in told["dropped"].items()} == {
        "read": 1,
        "where": 2,
        "exact": 1,
        "near": 1,
        "budget": 3,
    }
    assert told["characters"] == sum(len(row["messages"][0]["content"] + row["messages"][1]["content"]) + 1 for row in rows)


def test_without_an_expression_the_first_rows_stay_and_it_is_said(attar, pool):
    out = attar("select", pool, "--dedup", "exact", "--keep", "5", "--verdicts", "v.parquet")
    found = verdicts("v.parquet")
    assert [name for name, row in found.items() if row["kept"]] == ["r0", "r1", "r2", "r3", "r4"]
    assert (found["r6"]["step"], found["r6"]["because"]) == ("exact", "r3")
    assert found["r5"]["reason"] == "after the first 5"
    assert "no --by: the pool's own order counts" in out
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


def test_however_many_rows_have_no_letters_the_others_are_compared(attar):
    rows = [
        {"id": str(i), "prompt": "?" if i > 4 else f"Question {i}", "response": " " if i > 4 else WORDS[i]} for i in range(30)
    ]
    Path("blank.jsonl").write_text("\n".join(map(json.dumps, rows)))
    told = attar("select", "blank.jsonl", "--on", "response", "--diverse", "--json")
    assert (told["kept"], told["dropped"]["embed"]["reasons"]) == (5, {"no response": 25})


def test_rows_that_are_alike_make_room_for_others_and_letters_are_said_to_be_wording(attar, pool):
    told = attar("select", pool, "--by", "score", "--diverse", "--keep", "6", "--verdicts", "v.parquet", "--json")
    found = verdicts("v.parquet")
    assert [name for name, row in found.items() if row["kept"]] == ["r1", "r5", "r6", "r7", "r8", "r9"]
    assert {name: found[name]["because"] for name in ("r3", "r4")} == {"r3": "r6", "r4": "r7"}
    assert found["r4"]["reason"].startswith("cosine ")
    assert found["r2"]["reason"] == "no score"
    assert (found["r0"]["step"], found["r0"]["reason"]) == ("diverse", "behind the 6 that are kept")
    assert told["notes"] == ["embedded by letters: alike is alike in wording, not in meaning"]


def test_of_rows_alike_by_their_vectors_the_best_stays(attar, pool):
    attar("dedup", pool, "--how", "semantic", "--by", "score", "--verdicts", "v.parquet", "-q")
    dropped = {name: row["because"] for name, row in verdicts("v.parquet").items() if row["step"] == "semantic"}
    assert dropped == {"r3": "r6", "r4": "r7"}


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

    def told():
        journal = Journal(Path(".attar/journal.sqlite"))
        found = journal.told()
        journal.close()
        return found["asked"], found["recalled"]

    fake = ("--kind", "fake", "--embed", "e")
    attar("select", pool, "--dedup", "exact", "--diverse", *fake, "--keep", "3", "-q")
    assert told() == (9, 0)
    attar("select", pool, "--where", "score > 4 AND score <> 6", "--diverse", *fake, "--keep", "3", "-q")
    assert told() == (9, 4)


def test_a_budget_of_tokens_says_how_they_are_counted(attar, pool):
    told = attar("select", pool, "--by", "score", "--tokens", "50", "--verdicts", "v.parquet", "--json")
    assert told["notes"] == ["tokens counted as conversation_chars / 4"]
    assert 0 < told["kept"] < 9
    assert told["characters"] <= 200
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
    told = attar("select", "p.jsonl", "--keep", "2", "-o", "out.jsonl", "--to", "alpaca", "--json")
    assert (told["kept"], told["written"], told["refused"]["rows"]) == (2, 1, 1)
    assert json.loads(Path("out.jsonl.rejected.jsonl").read_text())["id"] == "long"


def test_a_column_that_comes_up_late_is_there_from_the_first_row(attar, tmp_path):
    rows = [
        {"prompt": f"p{number}", "response": "r", **({"late": "yes"} if number == 20_500 else {})} for number in range(20_600)
    ]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, rows)))
    told = attar("select", "p.jsonl", "--where", "late = 'yes' OR prompt = 'p3'", "-o", "out.parquet", "--json")
    assert told["kept"] == 2
    assert pl.read_parquet("out.parquet").select("id", "late").rows() == [("p:4", None), ("p:20501", "yes")]


def test_scores_become_columns_that_a_selection_reads(attar, pool):
    told = attar(
        "score", pool, "--with", "g", "--kind", "fake", "--what", "helpfulness,quality", "-o", "scored.parquet", "--json"
    )
    scored = pl.read_parquet("scored.parquet")
    assert told["written"] == len(scored) == 10
    assert scored["helpfulness"].is_between(0, 10).all()
    assert scored["quality"].is_between(1, 5).all()
    attar("select", "scored.parquet", "--by", "helpfulness * quality", "--keep", "1", "-o", "best.jsonl", "-q")
    best = scored.sort(pl.col("helpfulness") * pl.col("quality"), descending=True)["id"][0]
    assert json.loads(Path("best.jsonl").read_text())["id"] == best


def test_every_row_gets_its_vector_of_length_one_however_many_are_written_at_once(attar, pool, monkeypatch):
    monkeypatch.setattr("attar.api.pool.output._AT_ONCE", 3)
    attar("embed", pool, "-o", "v.parquet", "-q")
    found = pl.read_parquet("v.parquet")
    vectors = found["embedding"]
    same = found.group_by("embedding").agg(pl.col("id").sort()).filter(pl.col("id").list.len() > 1)["id"].to_list()
    assert same == [["r3", "r6"]]  # which differ by their case alone
    assert len(vectors) == 10
    assert vectors.list.eval(pl.element() ** 2).list.sum().to_list() == pytest.approx([1] * 10, abs=1e-5)


def test_reading_that_was_stopped_begins_anew_and_no_row_comes_twice(attar, pool, monkeypatch):
    from attar.stages.pool import pieces

    def stopped(**knobs):
        yield next(pieces(**knobs)).head(3)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("attar.stages.pool.pieces", stopped)
        assert "the same command goes on from here" in attar("select", pool, "--keep", "4", "-q", code=130)
    told = attar("select", pool, "--keep", "4", "--json")
    assert (told["rows"], told["kept"]) == (11, 4)


def test_what_is_kept_is_written_once_and_the_pool_not_again(attar, pool):
    attar("select", pool, "--keep", "4", "-o", "out.jsonl", "-q")
    attar("score", pool, "--with", "g", "--kind", "fake", "--what", "quality", "-o", "scored.jsonl", "-q")
    assert not list(Path(".attar/runs").glob("*.dataset"))


def test_a_rows_story_tells_where_it_was_dropped(attar, pool):
    told = attar("select", pool, "--dedup", "exact", "--keep", "5", "--json")
    story = attar("why", told["run"], "r6", "--json")
    assert ("exact", "r3") in [(chapter["step"], chapter["values"].get("because")) for chapter in story]
    assert {line["state"] for line in attar("status", told["run"], "--json")} == {"done"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["pool.jsonl", "--by", "scor * 2", "--keep", "2"],
            "--by 'scor * 2': pool.jsonl has no column 'scor'; did you mean 'score'?",
        ),
        (["pool.jsonl", "--where", "long > 2"], "--where 'long > 2': pool.jsonl has no column 'long'; "),
        (["pool.jsonl", "--by", "score *", "--keep", "2"], "rule 'score *' is no expression"),
        (["pool.jsonl", "--keep", "2", "--tokens", "9"], "--keep is a number of rows, --tokens a number of tokens"),
        (["pool.jsonl", "--per", "lang", "--diverse"], "--per shares what is kept"),
        (["pool.jsonl", "--cost", "1", "--keep", "2"], "--cost says what a row takes of --tokens"),
        (["pool.jsonl"], "nothing to select by"),
        (["pool.jsonl", "--dedup", "exct"], "--dedup 'exct': did you mean 'exact'?"),
        (["pool.jsonl", "--dedup", "near=much"], "--dedup 'near=much': a limit is a number"),
        (["pool.jsonl", "--dedup", "near=7"], "--dedup 7.0: how alike two rows may be"),
        (["pool.jsonl", "--alike", "0"], "--alike 0.0: how alike two rows may be"),
        (["pool.jsonl", "--keep", "2", "--embed", "x"], "--embed is for --diverse and --dedup semantic"),
        (["pool.jsonl", "--keep", "2", "--on", "prompts"], "--on 'prompts': did you mean 'prompt'?"),
        (["pol.jsonl", "--keep", "2"], "pol.jsonl does not exist; did you mean 'pool.jsonl'?"),
        (["pool.jsonl", "--keep", "2", "-o", "pool.jsonl"], "pool.jsonl is (or lies in) what is read"),
        (["pool.jsonl", "--keep", "2", "-o", "taken"], "taken exists already: name a new folder"),
        (["pool.jsonl", "--keep", "2", "-o", "out.txt"], "out.txt: cannot write .txt"),
        (
            ["pool.jsonl", "--keep", "2", "-o", "out.jsonl", "--to", "alpacca"],
            "unknown format 'alpacca'; did you mean 'alpaca'?",
        ),
        (["pool.jsonl", "--keep", "2", "--verdicts", "v.xlsx"], "v.xlsx: verdicts go to .parquet, .jsonl, .csv"),
        (
            ["pool.jsonl", "--keep", "2", "--from", "alpaca"],
            "no row could be read; the first reason: the key 'instruction' is missing",
        ),
        (["nobody/nothing", "--keep", "2"], "nobody/nothing is no file here, and could not be read from the Hub"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do_and_nothing_is_written(attar, pool, monkeypatch, words, told):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    Path("taken").mkdir()
    before = pool.read_bytes()
    err = attar("select", *words, "-q", code=2)
    assert err.startswith("attar: ")
    assert err.count("\n") == 1
    assert told in err
    assert pool.read_bytes() == before
    assert sorted(path.name for path in Path().iterdir() if not path.name.startswith(".")) == ["pool.jsonl", "taken"]


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
    assert "in place of POOL's own: quality" in attar(*asked)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--with", "a", "--with", "b", "--what", "quality"], "2 models for 1 scores (quality)"),
        (["--with", "a", "--what", "complexity"], "there is no rubric 'complexity' for a judge"),
        (["--with", "a", "--what", "complexity", "--question", "nowhere.txt"], "question 'nowhere.txt' is no file"),
    ],
)
def test_a_score_that_nobody_can_give_is_refused_before_anything_is_asked(attar, pool, words, told):
    err = attar("score", pool, *words, "--kind", "fake", "-o", "out.jsonl", "-q", code=2)
    assert told in err
    assert err.count("\n") == 1
    assert not Path("out.jsonl").exists()


def test_scores_are_read_from_columns_of_the_pool_only(attar, pool):
    assert "did you mean 'conversation_chars'?" in attar(
        "select", pool, "--by", "conversation_char", "--keep", "1", "-q", code=2
    )


def test_the_summary_tells_how_many_groups_of_repeats_there_were(attar, tmp_path):
    said = ["one and the same", "One and  the same", "ONE AND THE SAME", "something else", "something else", "alone"]
    Path("pool.jsonl").write_text("".join(json.dumps({"prompt": text, "response": "Yes."}) + "\n" for text in said))
    found = attar("dedup", "pool.jsonl", "--how", "exact", "-o", "out.jsonl", "--json")["dropped"]["exact"]
    assert (found["rows"], found["groups"]) == (3, 2)
    assert "repeats a conversation; 2 groups of the like" in attar("dedup", "pool.jsonl", "--how", "exact", "-o", "out.jsonl")


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
    told = attar(command, name, *more, "--embed", "column:mini", "--verdicts", "v.parquet", "-o", "out.parquet", "--json")
    dropped = {row: (v["step"], v["because"]) for row, v in verdicts("v.parquet").items() if not v["kept"]}
    step = "diverse" if command == "select" else "semantic"
    assert dropped == {"b": (step, "a"), "d": (step, "c"), "e": ("vectors", None)}
    assert verdicts("v.parquet")["e"]["reason"] == "no mini"
    assert told["notes"][-1] == "alike by the vectors in POOL's column 'mini'"
    assert not [path for path in Path(".attar/steps").iterdir() if "embed" in path.name]
    assert pl.read_parquet("out.parquet")["mini"].to_list() == [[1, 0, 0], [0, 0, 1.5]]


@pytest.mark.parametrize(
    ("vector", "words", "told"),
    [
        ([1, 2], ["column:mini"], "row 'a' has 3 numbers, row 'x' has 2"),
        ([0, 0, 0], ["column:mini"], "column 'mini': row 'x' is a vector that is nought or not finite"),
        (["1"], ["column:mini"], "column 'mini' holds String, not vectors: each must be a list of numbers, or null"),
        (None, ["column:min"], "the pool has no column 'min'; did you mean 'mini'?"),
        (None, ["column:"], "'column:' does not say which column has the vectors"),
        (None, ["column:mini", "--url", "http://x"], "--url is a server's, and column:mini needs none"),
    ],
)
def test_vectors_that_cannot_be_compared_are_one_line_that_names_the_row_or_the_column(attar, brought, vector, words, told):
    with brought.open("a") as stream:
        stream.write("\n" + json.dumps({"id": "x", "prompt": "p", "response": "r", "mini": vector}))
    err = attar("select", brought, "--diverse", "-q", "--embed", *words, code=2)
    assert told in err
    assert err.count("\n") == 1


def test_vectors_that_were_embedded_before_are_used_again_and_a_story_cuts_them_short(attar, pool):
    attar("embed", pool, "-o", "v.jsonl", "-q")
    told = attar(
        "select", "v.jsonl", "--embed", "column:embedding", "--by", "score", "--diverse", "--verdicts", "v.parquet", "--json"
    )
    dropped = {row: v["because"] for row, v in verdicts("v.parquet").items() if v["step"] == "diverse"}
    assert dropped == {"r3": "r6", "r4": "r7"}  # as letters have it
    story = attar("why", told["run"], "r9")
    assert "... 512 numbers]" in story
    assert len(story) < 3000


def test_vectors_are_not_embedded_again(attar, brought):
    assert "those vectors are there already" in attar("embed", brought, "--with", "column:mini", "-o", "x.jsonl", "-q", code=2)
