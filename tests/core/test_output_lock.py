import fcntl
import os
from functools import partial
from pathlib import Path

import pytest
from at_once_for_tests import kill_in, only_locked_out, run_together

from attar.core.atomic import replace_text
from attar.core.errors import DataError
from attar.core.output_lock import lock_output


def write_slowly(target: Path, letter: str) -> None:
    """Write a text in two reads and writes of a file beside, as nobody could if two did it at once."""
    with lock_output(target):
        count = target.with_name("count")
        before = int(count.read_text()) if count.exists() else 0
        replace_text(target, letter * 200_000)
        count.write_text(str(before + 1))


def test_of_two_at_once_one_is_told_to_wait_or_both_write_in_turn(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    done = 0
    for results in run_together(partial(write_slowly, target, "a"), partial(write_slowly, target, "b"), rounds=40):
        assert only_locked_out(results)
        done += results.count("done")
        assert target.read_text() in ("a" * 200_000, "b" * 200_000)
        assert int((tmp_path / "count").read_text()) == done
    assert sorted(path.name for path in tmp_path.iterdir()) == ["count", "out.txt"]


def test_the_second_in_one_process_is_told_by_one_line(tmp_path: Path) -> None:
    refused = pytest.raises(DataError, match=r"another attar is writing .*out: wait until")
    with lock_output(tmp_path / "out"), refused, lock_output(tmp_path / "out"):
        raise AssertionError
    assert list(tmp_path.iterdir()) == []


def test_a_link_and_its_target_are_one_output(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "out.txt")
    with lock_output(tmp_path / "link"):
        with pytest.raises(DataError, match="another attar"), lock_output(tmp_path / "folder" / ".." / "folder" / "out.txt"):
            raise AssertionError
        replace_text(tmp_path / "link", "new")
    assert (tmp_path / "folder" / "out.txt").read_text() == "new"
    assert (tmp_path / "link").is_symlink()


def test_a_lock_that_was_removed_while_one_waited_for_it_is_not_held(tmp_path: Path) -> None:
    file = tmp_path / ".out.attar-lock"
    held = os.open(file, os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    messages = []

    def leave(message: str) -> None:
        messages.append(message)
        file.unlink()  # as a holder does when it ends
        os.close(held)

    refused = pytest.raises(DataError, match="another attar")
    with lock_output(tmp_path / "out", leave), refused, lock_output(tmp_path / "out"):
        raise AssertionError
    assert messages == [f"another attar is writing {tmp_path / 'out'}; waiting for it"]
    assert not file.exists()


def test_a_killed_holder_locks_nobody_out_and_its_leftovers_go(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    kill_in("attar.core.atomic.move_into_place", partial(write_slowly, target, "a"))
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 3
    write_slowly(target, "b")
    assert target.read_text() == "b" * 200_000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["count", "out.txt"]


def test_a_file_of_the_locks_name_with_content_is_never_changed(tmp_path: Path) -> None:
    (tmp_path / ".out.attar-lock").write_text("mine")
    with lock_output(tmp_path / "out"):
        replace_text(tmp_path / "out", "new")
    assert (tmp_path / ".out.attar-lock").read_text() == "mine"


def test_a_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="/dev/null is neither a file nor a folder"), lock_output(Path("/dev/null")):
        raise AssertionError
