from pathlib import Path

import pytest

from attar.core.atomic import move_into_place, replace_file, write_beside


def test_a_file_appears_only_when_its_block_has_ended(tmp_path: Path) -> None:
    target = tmp_path / "new" / "card.json"
    with replace_file(target) as partial:
        partial.write_text("{}")
        assert not target.exists()
    assert target.read_text() == "{}"
    assert list(target.parent.iterdir()) == [target]


def test_a_write_that_fails_leaves_the_earlier_file_and_no_partial_one(tmp_path: Path) -> None:
    target = tmp_path / "card.json"
    target.write_text("before")
    with pytest.raises(FileNotFoundError), replace_file(target) as partial:
        partial.write_text((tmp_path / "not-there").read_text())
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_moves_into_place_with_all_its_files(tmp_path: Path) -> None:
    target = tmp_path / "set"
    with write_beside(target) as partial:
        (partial / "data").mkdir(parents=True)
        (partial / "data" / "train.jsonl").write_text("row")
        move_into_place(partial, target)
    assert (target / "data" / "train.jsonl").read_text() == "row"
    assert not partial.exists()
