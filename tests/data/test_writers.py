import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attar.core.errors import DataError
from attar.data.readers import load
from attar.data.writers import open_sink


@pytest.mark.parametrize("name", ["out.jsonl", "out.json", "out.parquet"])
def test_a_file_appears_when_its_sink_is_closed_and_holds_every_batch(tmp_path, name):
    tables = [pl.DataFrame({"id": [f"{i}"], "messages": [[{"role": "user", "content": f"q{i}"}]]}) for i in range(3)]
    with open_sink(tmp_path / name, "messages") as sink:
        reasons = [sink.write(table) for table in tables]
        assert not (tmp_path / name).exists()
    assert reasons == [[None]] * 3
    assert [path.name for path in tmp_path.iterdir()] == [name]
    [batch] = load(tmp_path / name)
    assert batch.table["prompt"].to_list() == ["q0", "q1", "q2"]


def talk(text, **more):
    return pl.DataFrame({"id": [text], "messages": [[{"role": "user", "content": text}]], **more})


def test_a_form_or_a_suffix_that_is_not_known_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(DataError, match="unknown format 'alpacca'; did you mean 'alpaca'"):
        open_sink(tmp_path / "out.jsonl", "alpacca")
    with pytest.raises(DataError, match=r"cannot write \.csv; use \.jsonl, \.json or \.parquet"):
        open_sink(tmp_path / "out.csv", "alpaca")
    with pytest.raises(DataError, match="unknown layout 'dataset'; did you mean 'datasets'"):
        open_sink(tmp_path / "out", "messages", "dataset")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out.jsonl", "out.json", "out.parquet", "out"])
def test_without_a_row_there_is_no_file_and_a_row_that_cannot_be_said_has_its_reason(tmp_path, name):
    with open_sink(tmp_path / name, "prompt") as sink:
        [reason] = sink.write(talk("q").with_columns(pl.col("messages").list.concat(pl.col("messages"))))
    assert reason.startswith("prompt holds one prompt and one response")
    assert sink.count == 0
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_is_new_after_the_first_rows_is_refused_by_parquet_and_kept_by_lines(tmp_path):
    early, late = talk("q0"), talk("q1", score=[2.5])
    for name, reasons in (("a.jsonl", [None]), ("a.parquet", ["column 'score' is new after the first rows"])):
        with open_sink(tmp_path / name, "messages") as sink:
            assert sink.write(early) == [None]
            found = [reason and reason.partition(",")[0] for reason in sink.write(late)]
        assert found == reasons
        assert sink.count == 2 - (reasons != [None])
    assert json.loads((tmp_path / "a.jsonl").read_text().splitlines()[1])["score"] == 2.5
    assert pl.read_parquet(tmp_path / "a.parquet")["id"].to_list() == ["q0"]


def test_a_folder_has_a_file_for_every_table_and_appears_at_the_end(tmp_path):
    with open_sink(tmp_path / "out", "messages") as sink:
        for number in range(3):
            sink.write(talk(f"q{number}"))
        assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    files = sorted((tmp_path / "out").iterdir())
    assert [file.name for file in files] == [f"data-{number:05d}.parquet" for number in range(3)]
    assert [pl.read_parquet(file)["id"][0] for file in files] == ["q0", "q1", "q2"]
    with pytest.raises(DataError, match="exists already: name a new folder"), open_sink(tmp_path / "out", "messages"):
        pass


@pytest.mark.parametrize("name", ["out.jsonl", "out.json", "out.parquet", "out"])
def test_an_error_half_way_leaves_an_earlier_output_and_nothing_else(tmp_path, name):
    if "." in name:
        (tmp_path / name).write_text("earlier")
    with pytest.raises(ZeroDivisionError), open_sink(tmp_path / name, "messages") as sink:
        raise ZeroDivisionError(sink.write(talk("q0")))
    assert [path.read_text() for path in tmp_path.iterdir()] == (["earlier"] if "." in name else [])


@pytest.mark.parametrize(
    "extras", [{}, {"score": [1.5], "label": ["x"], "v": [[0.5, 1.0]], "empty": pl.Series([None], dtype=pl.String)}]
)
def test_rows_written_by_the_column_are_those_written_row_by_row(tmp_path, extras, monkeypatch):
    table = talk("q", prompt=["q"], response=[None], chosen=pl.Series([None], dtype=pl.String), **extras)
    for name in ("columns", "rows"):
        if name == "rows":
            monkeypatch.setattr("attar.data.writers.Sink._takes_columns", lambda *_: False)
        with open_sink(tmp_path / f"{name}.parquet", "messages") as sink:
            assert sink.write(table) == [None]
            assert sink.write(talk("r")) == [None]
    columns, rows = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("columns", "rows"))
    assert columns.schema == rows.schema
    assert columns.to_pylist() == rows.to_pylist()
    assert pa.types.is_string(columns.schema.field("id").type)


def test_a_preference_is_refused_as_messages_also_among_rows_that_are_none(tmp_path):
    table = pl.concat(
        [talk(text, chosen=pl.Series([best], dtype=pl.String)) for text, best in (("a", None), ("b", "x"), ("c", None))]
    )
    with open_sink(tmp_path / "out.parquet", "messages") as sink:
        first, second, third = sink.write(table)
    assert (first, third) == (None, None)
    assert "would lose the chosen" in second
    assert pl.read_parquet(tmp_path / "out.parquet")["id"].to_list() == ["a", "c"]
