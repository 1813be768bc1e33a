import csv
import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbook_for_tests import write_workbook

from attar.core.errors import DataError, MissingExtraError
from attar.data.raw import raw_rows

TALK = [{"role": "user", "content": "q"}]


def rows_of(path, text=None):
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [(row.line, row.value if not isinstance(row.value, ValueError) else f"! {row.value}") for row in raw_rows(path)]


def test_cells_are_text_and_empty_ones_null(tmp_path):
    text = '\ufeffprompt,n,id\n"a ""b"", c\n d",1.50,007\n\n,true,\n'
    assert rows_of(tmp_path / "a.csv", text) == [
        (2, {"prompt": 'a "b", c\n d', "n": "1.50", "id": "007"}),
        (5, {"prompt": None, "n": "true", "id": None}),
    ]


def test_semicolons_and_an_index_without_a_name_are_understood(tmp_path):
    assert rows_of(tmp_path / "a.csv", "prompt;response\na,b;c\n") == [(2, {"prompt": "a,b", "response": "c"})]
    assert rows_of(tmp_path / "b.csv", ",prompt\n0,a\n") == [(2, {"column_1": "0", "prompt": "a"})]
    assert rows_of(tmp_path / "c.tsv", 'a;b\tc,d\n1\t"2\t3"\n') == [(2, {"a;b": "1", "c,d": "2\t3"})]


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("messages", json.dumps(TALK), TALK),
        ("conversations", "[]", []),
        ("tools", '[{"name": "f"}]', [{"name": "f"}]),
        ("prompt", json.dumps(TALK), TALK),
        ("prompt", "[1, 2]", "[1, 2]"),
        ("prompt", "[sic]", "[sic]"),
        ("chosen", '{"a": 1}', '{"a": 1}'),
        ("tags", '["a"]', '["a"]'),
    ],
)
def test_conversations_are_parsed_and_other_texts_are_not(tmp_path, column, cell, value):
    with (tmp_path / "a.csv").open("w") as out:
        csv.writer(out).writerows([[column, "x"], [cell, "y"]])
    assert rows_of(tmp_path / "a.csv") == [(2, {column: value, "x": "y"})]


def test_bad_records_are_set_aside_with_their_lines_and_the_others_are_read(tmp_path):
    text = 'prompt,messages\na,\nb,,c\nd\n"x"y,\n"e\ne",\nf,[broken\n\udcff,\n"open,\n'.encode(errors="surrogateescape")
    found = rows_of(tmp_path / "a.csv", text)
    assert [line for line, _ in found] == [2, 3, 4, 5, 6, 8, 9, 10]
    assert [value if isinstance(value, str) else value["prompt"] for _, value in found] == [
        "a",
        "! the row has 3 cells, but there are 2 columns",
        "! the row has 1 cells, but there are 2 columns",
        "! not CSV: ',' expected after '\"'",
        "e\ne",
        "! column 'messages' is not JSON: Expecting value: line 1 column 2 (char 1)",
        "\udcff",
        "! not CSV: unexpected end of data",
    ]


def test_two_columns_of_one_name_are_refused(tmp_path):
    [(line, reason)] = rows_of(tmp_path / "a.csv", "a,b,a\n1,2,3\n")
    assert (line, reason.endswith("two columns are called 'a'")) == (1, True)


@given(st.lists(st.tuples(*[st.text(st.characters(exclude_categories=("Cs",)), min_size=1)] * 2), max_size=6))
def test_any_texts_come_back_with_the_lines_at_which_they_began(tmp_path_factory, cells):
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["left", "right"])
    lines = []
    for pair in cells:
        lines.append(count_lines(text.getvalue()) + 1)
        writer.writerow(pair)
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(text.getvalue().encode())
    assert [(row.line, tuple(row.value.values())) for row in raw_rows(file)] == list(zip(lines, cells, strict=True))


def count_lines(text):
    return text.replace("\r\n", "\n").replace("\r", "\n").count("\n")


def test_a_sheet_keeps_numbers_but_not_in_a_conversation(tmp_path):
    write_workbook(
        tmp_path / "a.xlsx", One=[["prompt", "response", "score", "ok"], [2, 2.5, 3, True], [None] * 4, ["q", None, 0.5, False]]
    )
    assert rows_of(tmp_path / "a.xlsx") == [
        (2, {"prompt": "2", "response": "2.5", "score": 3, "ok": True}),
        (4, {"prompt": "q", "response": None, "score": 0.5, "ok": False}),
    ]


def test_of_several_sheets_one_is_named(tmp_path):
    book = tmp_path / "a.xlsx"
    write_workbook(book, One=[["prompt"], ["q1"]], Two=[["prompt"], ["q2"]])
    assert rows_of(f"{book}#Two") == [(2, {"prompt": "q2"})]
    with pytest.raises(DataError, match=r"a.xlsx has 2 sheets \(One, Two\): name one, as in a.xlsx#One"):
        rows_of(book)
    with pytest.raises(DataError, match=r"a.xlsx has no sheet 'Too'; did you mean 'Two'"):
        rows_of(f"{book}#Too")


def test_an_encrypted_workbook_is_one_bad_row(tmp_path):
    encrypted = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)  # the container that Excel puts encrypted workbooks in
    [(line, reason)] = rows_of(tmp_path / "a.xlsx", encrypted)
    assert line == 1
    assert "no workbook that can be read, or an encrypted one" in reason


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    write_workbook(tmp_path / "a.xlsx", One=[["prompt"], ["q"]])
    with pytest.raises(MissingExtraError, match=r"pip install 'attar\[excel\]'"):
        rows_of(tmp_path / "a.xlsx")
