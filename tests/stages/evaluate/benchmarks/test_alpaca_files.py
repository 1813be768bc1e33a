import json

import polars as pl
import pytest

from attar.core.errors import AttarError, DataError
from attar.stages.evaluate.benchmarks import alpaca_files
from attar.stages.evaluate.benchmarks.alpaca_eval import figures


def official(i, **change):
    row = {"instruction": f"question {i}", "output_1": "bas", "generator_1": "base", "output_2": "é" * i, "generator_2": "ours"}
    return {**row, "annotator": "judge", "preference": 1 + (i % 5) / 4, "raw_completion": {"any": ["thing"]}, **change}


def test_annotations_are_read_from_whatever_file_they_are_in(tmp_path):
    lines = [official(0, preference=0), *map(official, range(1, 7)), official(7, preference=None)]
    (tmp_path / "list.json").write_text(json.dumps(lines))
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, lines)))
    folder = tmp_path / "results" / "ours" / "weighted"
    folder.mkdir(parents=True)
    (folder / "annotations.json").write_text(json.dumps(lines))
    (folder.parent / "model_outputs.json").write_text(json.dumps([{"instruction": "x", "output": "y"}]))
    flat = pl.DataFrame([{key: value for key, value in row.items() if key != "raw_completion"} for row in lines])
    chars = flat.with_columns(chars_1=pl.col("output_1").str.len_chars(), chars_2=pl.col("output_2").str.len_chars())
    chars.drop("output_1", "output_2").write_parquet(tmp_path / "chars.parquet")
    tables = [alpaca_files.read([tmp_path / name]) for name in ("list.json", "lines.jsonl", "results", "chars.parquet")]
    assert tables[0]["preference"].to_list() == [0.5, 0.25, 0.5, 0.75, 1.0, 0.0, 0.25, None]
    assert tables[0]["chars"].to_list() == list(range(8))
    assert tables[0].row(3, named=True)["id"] == "ours/base/judge/3"
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])
    assert tables[0].drop("response", "against").equals(tables[3].drop("response", "against"))
    assert figures(tables[3], bootstrap=10).equals(figures(tables[0], bootstrap=10))


def test_several_models_in_one_file_are_kept_apart_and_one_model_in_two_files_is_refused(tmp_path):
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_text(json.dumps([official(i, generator_2=f"model {i % 2}") for i in range(6)]))
    two.write_text(json.dumps([official(i, generator_1="weak") for i in range(3)]))
    table = alpaca_files.read([one, two])
    assert table["row"].to_list() == [0, 0, 1, 1, 2, 2, 0, 1, 2]
    assert alpaca_files.read([one, two], against="weak")["model"].to_list() == ["ours"] * 3
    with pytest.raises(DataError, match=r"against 'weka'; did you mean 'weak'\?"):
        alpaca_files.read([one, two], against="weka")
    two.write_text(one.read_text())
    with pytest.raises(DataError, match=r"model 0 against base is in .*one.json and again in .*two.json"):
        alpaca_files.read([one, two])
    with pytest.raises(DataError, match=r"one.json is named twice"):
        alpaca_files.read([one, one])


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({**official(1), "preference": 2.5}, "row 2 has preference 2.5: it must be from 1 to 2"),
        ({**official(1), "preference": "2"}, "row 2 has preference '2'"),
        ({**official(1), "preference": True}, "row 2 has preference True"),
        ({**official(1), "generator_2": None}, "row 2 has generator_2 None, which is no text"),
        ({**official(1), "output_2": None}, "row 2 has neither 'output_2' nor 'chars_2'"),
        ({**official(1), "output_2": None, "chars_2": 1.5}, "row 2 has chars_2 1.5, which is no number of characters"),
        ({k: v for k, v in official(1).items() if k != "preference"}, "row 2 has no 'preference'"),
        ({"instrution": "x"}, r"row 2 has no 'instruction'; did you mean 'instrution'\?"),
        ([1], "row 2 is no object"),
    ],
)
def test_a_row_that_is_no_annotation_is_named(tmp_path, row, says):
    file = tmp_path / "annotations.jsonl"
    file.write_text("\n".join(map(json.dumps, [official(0), row])))
    with pytest.raises(AttarError, match=says):
        alpaca_files.read([file])
