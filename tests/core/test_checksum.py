import json
import os

import pytest

from attar.core import checksum as checksums
from attar.core.checksum import add_checksum, checksum, file_checksum, remove_checksum

TEXT = b'{\n "rows": 3,\n "made": "today"\n}\n'


def test_a_checksum_has_64_bits():
    assert checksum(b"") == "e4a6a0577479b2b4"
    assert len(checksum(b"a")) == 16


def test_a_file_has_the_checksum_of_its_content(tmp_path):
    (tmp_path / "a").write_bytes(b"a" * 1_000_000)
    assert file_checksum(tmp_path / "a") == checksum(b"a" * 1_000_000)


def test_a_file_is_hashed_once_until_it_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(checksums, "_CLOCK_TICK", 0)
    hashed = []
    real = checksums._hash_file
    monkeypatch.setattr(checksums, "_hash_file", lambda path: hashed.append(path) or real(path))
    file = tmp_path / "a"
    file.write_bytes(b"a")
    assert file_checksum(file) == file_checksum(file) == checksum(b"a")
    assert len(hashed) == 1
    file.write_bytes(b"bb")
    assert file_checksum(file) == checksum(b"bb")
    assert len(hashed) == 2


def test_a_file_that_has_just_changed_is_hashed_each_time(tmp_path):
    """A second change within one tick of the clock leaves time and size as they were."""
    file = tmp_path / "a"
    for content in (b"a", b"b") * 20:
        file.write_bytes(content)
        os.utime(file, ns=(1, 1))
        assert file_checksum(file) == checksum(content)


def test_a_checksum_is_the_last_key_of_an_object():
    kept = add_checksum(TEXT)
    assert list(json.loads(kept)) == ["rows", "made", "checksum"]
    assert remove_checksum(kept) == TEXT


@pytest.mark.parametrize("text", [b"{}\n", b"", b"[\n 1\n]\n", TEXT, b"not json"])
def test_text_without_a_checksum_is_returned_as_it_is(text):
    assert remove_checksum(text) == text


@pytest.mark.parametrize("old", [b'"rows"', b"3", b'"checksum"', b"checksum", b'"\n}', b",\n "])
def test_text_that_was_changed_is_refused(old):
    kept = add_checksum(TEXT)
    assert old in kept
    with pytest.raises(ValueError, match="checksum does not match"):
        remove_checksum(kept.replace(old, b"#" * len(old)))
