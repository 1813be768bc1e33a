from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core import fingerprint as fingerprints
from attar.core.fingerprint import fingerprint, folder_fingerprint, seed_of, stage_fingerprint, to_plain
from attar.stages.select import dedup, rank

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@dataclass(frozen=True)
class Point:
    x: int
    tags: tuple[str, ...] = ()


def test_a_fingerprint_is_the_same_on_any_machine():
    # printf '[1,"a",{"b":null}]' | b2sum -l 64
    assert fingerprint(1, "a", {"b": None}) == "3c6d8c6cd65d0d5f"


def test_a_seed_is_the_same_on_any_machine():
    # printf '["a", 1]' | b2sum -l 64, halved so that it fits in 63 bits
    assert seed_of("a", 1) == 0x215F544638F2193D // 2


@given(PLAIN)
def test_a_fingerprint_is_sixteen_hex_digits_and_repeats(value):
    assert len(fingerprint(value)) == 16
    assert int(fingerprint(value), 16) >= 0
    assert fingerprint(value) == fingerprint(value)


@given(st.lists(PLAIN, max_size=4), st.lists(PLAIN, max_size=4))
def test_two_values_share_a_fingerprint_only_if_they_are_the_same(first, second):
    assert (fingerprint(*first) == fingerprint(*second)) == (repr(by_key(first)) == repr(by_key(second)))


def by_key(value):
    if isinstance(value, dict):
        return {key: by_key(value[key]) for key in sorted(value)}
    return [by_key(item) for item in value] if isinstance(value, list) else value


@given(st.lists(st.integers() | st.text(max_size=5), max_size=4))
def test_a_seed_fits_in_sixty_three_bits(values):
    assert 0 <= seed_of(*values) < 2**63


def test_every_part_of_a_seeds_name_counts():
    names = [("a", 1), ("a", 2), ("b", 1), ("a", "1"), ("a1",), (1, "a")]
    assert len({seed_of(*name) for name in names}) == len(names)


def test_the_order_of_keys_and_of_a_set_does_not_matter():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"x", "y", "z"}) == fingerprint(["x", "y", "z"])


def test_the_order_of_a_list_does():
    assert fingerprint([1, 2]) != fingerprint([2, 1])
    assert fingerprint(1, 2) != fingerprint([1, 2])


def test_every_field_of_a_dataclass_counts_however_deep():
    assert to_plain({"p": [Point(1, ("a",))], 2: "x/y"}) == {"p": [{"x": 1, "tags": ["a"]}], "2": "x/y"}
    assert fingerprint([Point(1, ("a",))]) != fingerprint([Point(1, ("b",))])


@pytest.mark.parametrize("value", [object(), len, b"x", Point, [1, {"a": {object()}}]])
def test_what_has_no_plain_form_has_no_fingerprint(value):
    with pytest.raises(TypeError, match="has no fingerprint"):
        fingerprint(value)


def test_stages_differ_by_name_and_by_module():
    assert len({stage_fingerprint(stage) for stage in (rank.top, rank.chance, dedup.exact)}) == 3
    assert stage_fingerprint(rank.top) == stage_fingerprint(rank.top)


def test_a_stage_without_source_is_refused():
    with pytest.raises(TypeError, match="has no source file"):
        stage_fingerprint(len)


def test_a_folder_is_its_model_files_by_name_and_content(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    first = folder_fingerprint(tmp_path)
    (tmp_path / "README.md").write_text("words")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "config.json").write_text("other")
    assert folder_fingerprint(tmp_path) == first
    (tmp_path / "model.safetensors").write_bytes(b"weighty")
    changed = folder_fingerprint(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "other.safetensors")
    assert len({first, changed, folder_fingerprint(tmp_path)}) == 3


@pytest.mark.parametrize(("place", "seen"), [(0, True), (99, True), (150, False), (200, True), (299, True)])
def test_of_a_large_file_the_two_ends_count(tmp_path, monkeypatch, place, seen):
    monkeypatch.setattr(fingerprints, "_END_BYTES", 100)
    file = tmp_path / "model.safetensors"
    content = bytearray(300)
    file.write_bytes(content)
    before = folder_fingerprint(tmp_path)
    content[place] = 1
    file.write_bytes(content)
    assert (folder_fingerprint(tmp_path) != before) is seen


@pytest.mark.parametrize("place", [0, 99, 100, 149])
def test_all_of_a_file_of_less_than_two_ends_counts(tmp_path, monkeypatch, place):
    monkeypatch.setattr(fingerprints, "_END_BYTES", 100)
    file = tmp_path / "model.safetensors"
    content = bytearray(150)
    file.write_bytes(content)
    before = folder_fingerprint(tmp_path)
    content[place] = 1
    file.write_bytes(content)
    assert folder_fingerprint(tmp_path) != before


def test_a_path_has_no_fingerprint_since_its_content_is_not_looked_at():
    with pytest.raises(TypeError, match="has no fingerprint"):
        to_plain(Path("x/y"))
