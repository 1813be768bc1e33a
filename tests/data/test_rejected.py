import json

import pytest

from attar.data.rejected import collect_rejected


def reject(out, *reasons):
    with collect_rejected(out) as rejected:
        for reason in reasons:
            rejected.write({"id": "ä", "reason": reason})
    return rejected.path and rejected.path.name


def test_rows_lie_beside_their_output_and_without_rows_there_is_no_file(tmp_path):
    assert reject(tmp_path / "out.jsonl") is None
    assert list(tmp_path.iterdir()) == []
    assert reject(tmp_path / "out.jsonl", "one", "two") == "out.jsonl.rejected.jsonl"
    lines = (tmp_path / "out.jsonl.rejected.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"id": "ä", "reason": "one"}, {"id": "ä", "reason": "two"}]


def test_a_file_that_is_there_is_never_changed_and_the_same_rows_make_no_second_one(tmp_path):
    (tmp_path / "out.jsonl.rejected.jsonl").write_text("mine")
    (tmp_path / "out.jsonl.rejected-2.jsonl").mkdir()
    found = [reject(tmp_path / "out.jsonl", reason) for reason in ("one", "one", "two", "one", "two")]
    assert found == [f"out.jsonl.rejected-{number}.jsonl" for number in (3, 3, 4, 3, 4)]
    assert (tmp_path / "out.jsonl.rejected.jsonl").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 4


def test_an_error_half_way_leaves_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError):
        reject(tmp_path / "out.jsonl", "one", 1 / 0)
    assert list(tmp_path.iterdir()) == []


def test_the_rows_of_a_linked_output_lie_beside_what_it_points_to(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "out.jsonl").symlink_to(tmp_path / "far" / "data.jsonl")
    assert reject(tmp_path / "out.jsonl", "one") == "data.jsonl.rejected.jsonl"
    assert [path.name for path in (tmp_path / "far").iterdir()] == ["data.jsonl.rejected.jsonl"]
