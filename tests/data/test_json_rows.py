import io
import json
import math
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.data import json_rows
from attar.data.readers import raw_rows

VALUES = st.recursive(st.none() | st.integers() | st.text(max_size=4), lambda x: st.lists(x, max_size=2), max_leaves=4)
OBJECTS = st.dictionaries(st.text(max_size=4), VALUES, max_size=3)
SPACE = st.text(" \t\r\n", max_size=4)


def items_of(file, chunk):
    with file.open("rb") as stream:
        yield from json_rows.array_rows(file, stream, chunk=chunk)


def lines_of(text):
    return list(json_rows.line_rows(Path("a.jsonl"), io.BufferedReader(io.BytesIO(text))))


@given(st.lists(st.tuples(SPACE, OBJECTS, SPACE, st.sampled_from((None, 1))), max_size=5), SPACE, st.integers(1, 7))
def test_any_array_gives_its_rows_and_their_lines_whatever_the_chunk(tmp_path_factory, items, end, chunk):
    text, expected = end + "[", []
    for i, (before, value, after, indent) in enumerate(items):
        text += ("," if i else "") + before
        expected.append((text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1, value))
        text += json.dumps(value, indent=indent, ensure_ascii=i % 2 == 0) + after
    file = tmp_path_factory.getbasetemp() / "any.json"
    file.write_bytes(("\ufeff" + text + end + "]" + end).encode())
    assert [(found.line, found.value) for found in items_of(file, chunk)] == expected
    assert [(found.line, found.value) for found in raw_rows(file)] == expected


@given(st.lists(st.integers() | st.booleans() | st.text(max_size=3), max_size=5), st.integers(1, 7))
def test_a_number_is_never_cut_at_the_end_of_a_chunk(tmp_path_factory, items, chunk):
    file = tmp_path_factory.getbasetemp() / "flat.json"
    file.write_text(json.dumps(items))
    assert [found.value for found in items_of(file, chunk)] == items


@pytest.mark.parametrize(
    "text",
    [
        *("1e400", "-1e400", "1e-400", "-0", "-0.0", "1E5", "9007199254740993.0", "2.2250738585072011e-308"),
        *("18446744073709551615", "18446744073709551616", "-9223372036854775808", "-9223372036854775809", "9" * 400),
        *("NaN", "Infinity", "-Infinity", '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"\x7f"', "0.1234567890123456789"),
        *('{"a": 1, "b": 2, "a": 3}', '{"a": {"b": 12345678901234567890123}}', "[" * 199 + "]" * 199, "[" * 400 + "]" * 400),
    ],
    ids=lambda text: text[:24],
)
def test_a_line_has_the_value_that_json_gives_it(text):
    [row] = lines_of(text.encode())
    expected = json.loads(text)
    assert repr(row.value) == repr(expected)
    assert not isinstance(expected, float) or math.copysign(1, row.value) == math.copysign(1, expected)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_any_line_has_the_value_that_json_gives_it(value):
    text = json.dumps(value)
    [row] = lines_of(text.encode())
    assert repr(row.value) == repr(json.loads(text))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
def test_lines_end_as_on_any_system_and_blank_ones_count(end):
    rows = lines_of(end.join(["1", "", " \u00a0 ", "[2,", "3"]).encode())
    assert [row.line for row in rows] == [1, 4, 5]
    assert (rows[0].value, rows[2].value) == (1, 3)
    assert str(rows[1].value).startswith("not JSON: Expecting value: line 2 column 1")


def test_a_line_that_is_too_deep_for_json_is_refused_as_json_refuses_it():
    [row] = lines_of(b"[" * 1015 + b"]" * 1015)  # orjson goes down to 1,024
    assert str(row.value).startswith("not JSON: maximum recursion depth")


def test_a_mark_of_utf8_at_the_start_is_no_part_of_the_first_row():
    assert [row.value for row in lines_of(b"\xef\xbb\xbf1\n2\n")] == [1, 2]
    assert lines_of(b"\xef\xbb\xbf") == []


def test_a_line_that_is_too_long_is_a_bad_row_and_the_next_ones_are_read(monkeypatch):
    monkeypatch.setattr(json_rows, "_LARGEST", 16)
    rows = lines_of(b"1\n" + b"9" * 100 + b"\n2\n" + b'"' + b"x" * 12 + b'"\n3\n' + b"9" * 17)
    assert [(row.line, row.value) for row in rows if not isinstance(row.value, ValueError)] == [
        (1, 1),
        (3, 2),
        (4, "x" * 12),
        (5, 3),
    ]
    assert [(row.line, str(row.value)) for row in rows if isinstance(row.value, ValueError)] == [
        (2, "the line is longer than 64 MiB"),
        (6, "the line is longer than 64 MiB"),
    ]


def test_a_file_without_ends_of_lines_is_never_held_whole(monkeypatch):
    monkeypatch.setattr(json_rows, "_LARGEST", 1 << 16)

    class Endless(io.RawIOBase):
        left = 1 << 26

        def readable(self):
            return True

        def readinto(self, buffer):
            size = min(len(buffer), self.left)
            self.left -= size
            buffer[:size] = b"9" * size
            return size

    tracemalloc.start()
    [row] = json_rows.line_rows(Path("a.jsonl"), io.BufferedReader(Endless()))
    assert isinstance(row.value, ValueError)
    assert tracemalloc.get_traced_memory()[1] < 2 << 20
    tracemalloc.stop()
