"""Commands on data and on what Attar knows."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import polars as pl


def test_a_pool_becomes_parquet_and_its_broken_line_is_set_aside(attar, pool):
    found = attar("convert", pool, "out.parquet", "--json")
    assert (found["rows"], found["rejected"]) == (10, 1)
    table = pl.read_parquet("out.parquet")
    assert table["id"].to_list() == [f"r{number}" for number in range(10)]
    assert table["messages"][0].to_list()[0] == {"role": "user", "content": "Question 0"}


def test_a_conversation_goes_to_another_format_and_comes_back(attar, tmp_path):
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo"}]
    (tmp_path / "in.jsonl").write_text(json.dumps({"messages": talk}) + "\n")
    attar("convert", "in.jsonl", "there.jsonl", "--to", "sharegpt")
    there = json.loads(Path("there.jsonl").read_text())
    assert there["conversations"] == [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Yo"}]
    attar("convert", "there.jsonl", "back.jsonl", "--to", "messages", "--from", "sharegpt")
    assert json.loads(Path("back.jsonl").read_text())["messages"] == talk


def test_a_format_that_is_not_known_is_one_line(attar, pool):
    told = attar("convert", pool, "out.jsonl", "--to", "sharegtp", code=2)
    assert told.startswith("attar: ")
    assert "sharegpt" in told
    assert told.count("\n") == 1
    assert not Path("out.jsonl").exists()


def test_people_read_what_programs_read(attar):
    text = attar("recipes")
    assert all(line["recipe"] in text for line in attar("recipes", "--json"))
    text = attar("filters")
    assert all(line["filter"] in text for line in attar("filters", "--json"))


def test_convert_reads_from_a_pipe_and_writes_to_one(tmp_path):
    rows = "".join(json.dumps({"prompt": f"q{i}", "response": "ä"}) + "\n" for i in range(3)) + "oops\n"
    command = [sys.executable, "-c", "from attar.cli.main import main; main()", "convert", "-", "-", "--to", "sharegpt"]
    done = subprocess.run(command, input=gzip.compress(rows.encode()), capture_output=True, check=True, cwd=tmp_path)
    written = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert [row["conversations"][0]["value"] for row in written] == ["q0", "q1", "q2"]
    assert [row["id"] for row in written] == ["stdin:1", "stdin:2", "stdin:3"]
    assert "3 rows in -" in done.stderr.decode()
    assert json.loads((tmp_path / "stdout.rejected.jsonl").read_text())["line"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["stdout.rejected.jsonl"]


def test_a_pattern_and_a_compressed_table_are_converted(attar, tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"question,answer\nHi,Yo\n"))
    (tmp_path / "b.tsv").write_text("question\tanswer\nHo\tYe\n")
    assert attar("convert", "*.?sv*", "out.parquet", "--json")["rows"] == 2
    assert pl.read_parquet("out.parquet")["id"].to_list() == ["a.csv:2", "b:2"]
