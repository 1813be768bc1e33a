import random
from functools import partial

import polars as pl
import pytest
from at_once_for_tests import run_on_full_disk

from attar.core.errors import DataError
from attar.core.table import (
    COLUMNS,
    index_parts,
    need,
    origin,
    part_name,
    part_schema,
    part_span,
    parts,
    put,
    read,
    read_part,
    read_rows,
    scan,
    table_schema,
    turns,
    verdicts,
    write_part,
)


def rows(start, stop):
    return pl.DataFrame({"id": [f"r{i}" for i in range(start, stop)], "n": list(range(start, stop))})


@pytest.fixture
def folder(tmp_path):
    """Ten input rows in three parts; the middle part dropped two of its four, as a filter does."""
    write_part(rows(0, 4), tmp_path / "t", 0, 4)
    write_part(rows(4, 6), tmp_path / "t", 4, 8)
    write_part(rows(8, 10), tmp_path / "t", 8, 10)
    return tmp_path / "t"


def test_a_missing_column_is_named_with_those_that_are_there():
    with pytest.raises(DataError, match=r"column 'b' is missing; the table has: a, c$"):
        need(pl.DataFrame({"a": [1], "c": [2]}), "a", "b", "d")


def test_columns_that_are_there_are_enough():
    assert need(pl.DataFrame({"a": [1], "c": [2]}), "c", "a") is None


def test_values_are_put_beside_the_reasons_why_some_are_missing():
    table = put(pl.DataFrame({"id": ["a", "b"]}), "score", [0.5, None], [None, "no number"])
    assert table.to_dicts() == [
        {"id": "a", "score": 0.5, "score_error": None},
        {"id": "b", "score": None, "score_error": "no number"},
    ]


def test_a_known_column_has_its_own_type_even_when_every_value_is_missing():
    table = put(pl.DataFrame({"id": ["a"]}), "response", [None], ["cut off"])
    assert table.schema["response"] == pl.String
    assert table.schema["response_error"] == pl.String
    assert put(pl.DataFrame({"id": ["a"]}), "messages", [None], [None]).schema["messages"] == COLUMNS["messages"]


def test_errors_keep_their_type_when_there_are_none():
    assert put(pl.DataFrame({"id": ["a"]}), "score", [1.0], [None]).schema["score_error"] == pl.String


def test_a_given_type_wins_over_the_guessed_one():
    assert put(pl.DataFrame({"id": ["a"]}), "n", [1], [None], dtype=pl.Float32).schema["n"] == pl.Float32


def test_verdicts_of_no_rows_have_the_types_of_verdicts():
    assert verdicts([], [], [], []).schema == {"id": pl.String, "kept": pl.Boolean, "reason": pl.String, "because": pl.String}


def test_an_origin_holds_its_parents_as_a_list():
    assert origin("ask", "teacher", 7, (p for p in "ab")) == {
        "stage": "ask",
        "engine": "teacher",
        "seed": 7,
        "parents": ["a", "b"],
    }


def test_turns_without_content_are_left_out_and_empty_ones_are_kept():
    assert turns(("system", None), ("user", "q"), ("assistant", "")) == [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": ""},
    ]


def test_a_part_is_named_by_its_rows_in_an_order_that_sorts():
    assert part_name(20, 3_000_000_000, 7, "00ff") == "000000000020-003000000000.7.00ff.parquet"
    assert part_name(9, 10, 9, "a") < part_name(10, 100, 1, "b") < part_name(100, 1000, 5, "0")


def test_a_span_is_read_back_from_a_name(tmp_path):
    assert part_span(tmp_path / part_name(20, 3_000_000_000, 7, "00ff")) == (20, 3_000_000_000)
    assert part_span(tmp_path / "000000000020-003000000000.parquet") == (20, 3_000_000_000)


def test_a_table_is_its_parts_in_row_order_whatever_was_written_first(tmp_path):
    write_part(rows(2, 4), tmp_path, 2, 4)
    write_part(rows(0, 2), tmp_path, 0, 2)
    assert read(tmp_path)["n"].to_list() == [0, 1, 2, 3]
    assert read(tmp_path, ["n"]).columns == ["n"]
    assert read(tmp_path, ["n", "id"]).columns == ["n", "id"]


def test_rows_are_counted_by_what_the_parts_hold_and_not_by_their_names(folder):
    assert index_parts(folder).count == 8
    assert index_parts(folder).starts == (0, 4, 6, 8)


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (0, 8, [0, 1, 2, 3, 4, 5, 8, 9]),
        (0, 2, [0, 1]),
        (3, 5, [3, 4]),
        (2, 7, [2, 3, 4, 5, 8]),
        (4, 6, [4, 5]),
        (6, 8, [8, 9]),
        (7, 100, [9]),
        (0, 0, []),
        (3, 3, []),
        (4, 4, []),
        (8, 9, []),
        (50, 60, []),
    ],
)
def test_a_range_of_rows_crosses_parts(folder, start, stop, expected):
    table = read_rows(index_parts(folder), start, stop)
    assert table["n"].to_list() == expected
    assert table.columns == ["id", "n"]


def test_parts_outside_the_range_are_not_opened(folder):
    known = index_parts(folder)
    parts(folder)[0].write_bytes(b"broken")
    parts(folder)[2].write_bytes(b"broken")
    assert read_rows(known, 4, 6)["n"].to_list() == [4, 5]


def test_a_part_without_rows_is_passed_over(folder):
    write_part(rows(0, 0), folder, 10, 20)
    write_part(rows(20, 22), folder, 20, 22)
    assert read_rows(index_parts(folder), 7, 9)["n"].to_list() == [9, 20]


def test_rows_are_read_with_only_the_columns_asked_for(folder):
    assert read_rows(index_parts(folder), 3, 5, ["n"]).to_dict(as_series=False) == {"n": [3, 4]}


def test_a_half_written_part_is_no_part(folder):
    (folder / "000000000010-000000000020.123.partial").write_bytes(b"half")
    assert [part_span(path) for path in parts(folder)] == [(0, 4), (4, 8), (8, 10)]


def test_a_failed_write_leaves_the_part_that_was_there(folder, monkeypatch):
    def tear(table, path, **_):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", tear)
    with pytest.raises(OSError, match="disk full"):
        write_part(rows(90, 94), folder, 0, 4)
    assert read(folder)["n"].to_list() == [0, 1, 2, 3, 4, 5, 8, 9]


def test_writing_a_part_leaves_nothing_but_the_part(tmp_path):
    write_part(rows(0, 1), tmp_path / "deep" / "er", 0, 1)
    assert list((tmp_path / "deep" / "er").iterdir()) == parts(tmp_path / "deep" / "er")
    assert len(parts(tmp_path / "deep" / "er")) == 1


def test_a_part_takes_the_place_of_the_one_of_its_span(folder):
    (folder / "000000000008-000000000010.parquet").write_bytes(parts(folder)[2].read_bytes())  # of an earlier version
    write_part(rows(90, 93), folder, 8, 10)
    assert read(folder)["n"].to_list() == [0, 1, 2, 3, 4, 5, 90, 91, 92]


READERS = {
    "read": read,
    "read_rows": lambda folder: read_rows(index_parts(folder), 0, index_parts(folder).count),
    "read_part": lambda folder: pl.concat([read_part(path) for path in parts(folder)]),
    "scan": lambda folder: scan(folder).collect(),
    "table_schema": table_schema,
    "part_schema": lambda folder: part_schema(parts(folder)[0]),
}


def flip(content, bit):
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


@pytest.fixture
def part(tmp_path):
    """A part of fifty rows, as a table of its own."""
    write_part(rows(0, 50), tmp_path / "one", 0, 50)
    return parts(tmp_path / "one")[0]


def refuse_all(part):
    for reader in READERS.values():
        with pytest.raises(DataError, match=rf"^{part} is damaged [^\n]*: remove this file and run again[^\n]*$"):
            reader(part.parent)


def test_a_flipped_bit_anywhere_in_a_part_is_damage_and_never_another_value(part):
    whole = part.read_bytes()
    ends = [*range(64), *range(8 * len(whole) - 64, 8 * len(whole))]  # both magic numbers, and the length of the footer
    for bit in ends + random.Random(0).sample(range(8 * len(whole)), 200):
        part.write_bytes(flip(whole, bit))
        refuse_all(part)
    part.write_bytes(whole)
    assert read(part.parent).equals(rows(0, 50))


def test_a_part_that_is_cut_short_or_empty_or_longer_is_damaged(part):
    whole = part.read_bytes()
    for length in [0, 1, 4, 8, len(whole) // 2, len(whole) - 8, len(whole) - 1]:
        part.write_bytes(whole[:length])
        refuse_all(part)
    part.write_bytes(whole + b"\0")
    refuse_all(part)


def test_parts_that_took_each_others_place_are_damaged(folder):
    first, _, last = parts(folder)
    first.write_bytes(last.read_bytes())
    with pytest.raises(DataError, match=f"{first} is damaged"):
        read(folder)


def test_a_part_that_was_read_before_is_checked_again_once_it_has_changed(part):
    assert len(read(part.parent)) == 50
    part.write_bytes(flip(part.read_bytes(), 99))
    refuse_all(part)


def test_a_part_of_an_earlier_version_has_no_checksum_and_is_read(part):
    old = part.rename(part.with_name("000000000000-000000000050.parquet"))
    assert all(len(READERS[name](old.parent)) == 50 for name in ("read", "read_rows", "read_part", "scan"))
    assert list(table_schema(old.parent)) == ["id", "n"]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 and then rubbish PAR1"])
def test_a_damaged_part_of_an_earlier_version_is_named_with_its_steps_folder_to_remove(tmp_path, content):
    (tmp_path / "000000000000-000000000050.parquet").write_bytes(content)
    for reader in (READERS["read_rows"], READERS["read_part"], table_schema):
        with pytest.raises(DataError, match=r"00050\.parquet is damaged [^\n]*: remove that step's folder and run again$"):
            reader(tmp_path)


def test_a_folder_without_parts_is_no_table(tmp_path):
    with pytest.raises(DataError, match="holds no table"):
        read(tmp_path)
    with pytest.raises(DataError, match="holds no table"):
        index_parts(tmp_path)


def test_a_full_disk_is_an_error_of_the_disk(tmp_path):
    table = pl.DataFrame({"text": [random.Random(number).randbytes(16).hex() for number in range(2000)]})
    assert "File too large" in run_on_full_disk(partial(write_part, table, tmp_path, 0, 2000), 10_000)
    assert list(tmp_path.iterdir()) == []
