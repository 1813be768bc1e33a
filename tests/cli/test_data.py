"""Commands on data and on what Attar knows."""

import json
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
