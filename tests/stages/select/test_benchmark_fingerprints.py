import json

import polars as pl
import pytest

from attar.core.errors import DataError
from attar.stages.select import benchmark_fingerprints

ONE, TWO = "Who wrote the longest of all novels?", "And who has read it?"


def items(source):
    return list(benchmark_fingerprints.load_benchmark(str(source)).select("benchmark", "item").iter_rows())


@pytest.mark.parametrize(("name", "count"), benchmark_fingerprints.BENCHMARKS.items())
def test_what_is_shipped_has_every_item_and_no_text(name, count):
    found = benchmark_fingerprints.load_benchmark(name)
    assert len(found) == count
    assert found.schema == {
        "benchmark": pl.String,
        "item": pl.String,
        "runs": pl.List(pl.UInt64),
        "triples": pl.List(pl.UInt32),
    }
    assert found["item"].str.contains(r"^\d+( turn 2)?$").all()
    assert found["item"].n_unique() == count
    assert found["runs"].list.len().min() >= 1
    assert found["triples"].list.len().min() >= 1


def test_a_text_file_has_an_item_in_each_line_that_says_something(tmp_path):
    (tmp_path / "mine.txt").write_text(f"{ONE}\n\n...\n{TWO}\n")
    assert items(tmp_path / "mine.txt") == [("mine.txt", "1"), ("mine.txt", "4")]


def test_chat_data_has_an_item_for_each_user_turn(tmp_path):
    talk = [("user", ONE), ("assistant", "Somebody."), ("user", TWO)]
    rows = [{"question": TWO}, {"messages": [{"role": role, "content": text} for role, text in talk]}]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert items(tmp_path / "mine.jsonl") == [("mine.jsonl", "1"), ("mine.jsonl", "2"), ("mine.jsonl", "2 turn 2")]
    runs = benchmark_fingerprints.load_benchmark(str(tmp_path / "mine.jsonl"))["runs"].to_list()
    assert runs[0] == runs[2] != runs[1]


def test_a_row_that_asks_nothing_is_named_by_file_and_line(tmp_path):
    (tmp_path / "mine.jsonl").write_text('{"prompt": "a b"}\n{"text": "c"}\n')
    with pytest.raises(DataError, match=r"mine\.jsonl, row 2: no known chat format in the keys text; .*one prompt per line"):
        items(tmp_path / "mine.jsonl")
    (tmp_path / "none.txt").write_text("\n")
    with pytest.raises(DataError, match="contains no prompts"):
        items(tmp_path / "none.txt")


def test_a_misspelt_benchmark_is_told_the_right_name():
    with pytest.raises(DataError, match=r"'alpaca_evil' is neither a benchmark nor a file; did you mean 'alpaca_eval'\?"):
        items("alpaca_evil")
    with pytest.raises(DataError, match="is not a local file and could not be read"):
        items("nowhere/mine.jsonl")


def test_a_dataset_that_cannot_be_had_is_one_clear_error(monkeypatch):
    datasets = pytest.importorskip("datasets")

    def unreachable(*_, **__):
        raise ConnectionError("no way there")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(DataError, match=r"owner/questions is not a local file and .*\(no way there\): check"):
        items("owner/questions")


def test_the_items_of_a_dataset_are_counted_over_its_splits(monkeypatch):
    datasets = pytest.importorskip("datasets")
    asked = []

    def load(place, config, *, streaming, revision):
        asked.append((place, config, streaming, revision))
        return {"a": [{"prompt": ONE}], "b": [{"prompt": TWO}]}

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert items("owner/questions:hard@v2") == [("owner/questions:hard@v2", "1"), ("owner/questions:hard@v2", "2")]
    assert asked == [("owner/questions", "hard", True, "v2")]
