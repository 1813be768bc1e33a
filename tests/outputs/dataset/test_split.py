import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from attar.outputs.dataset import split

ROWS = st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abcdef")), max_size=14)


def keys_of(rows, first=0):
    return split.group_keys(
        pl.DataFrame(
            {
                "id": [f"r{first + i}" for i in range(len(rows))],
                "parent": [f"r{parent}" if parent < 8 else None for parent, _ in rows],
                "messages": [[{"role": "user", "content": text}, {"role": "assistant", "content": "x"}] for _, text in rows],
            },
            schema_overrides={
                "id": pl.String,
                "parent": pl.String,
                "messages": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
            },
        )
    )


def families(rows):
    """Sets of row numbers that are linked, however far, by a parent or by their text."""
    names = [{f"r{i}", f"t{text}", f"r{parent}" if parent < 8 else f"r{i}"} for i, (parent, text) in enumerate(rows)]
    found = []
    for one in names:
        touching = [other for other in found if other & one]
        found = [other for other in found if not other & one] + [set(one).union(*touching)]
    return [[i for i in range(len(rows)) if f"r{i}" in family] for family in found]


@given(ROWS, st.integers(0, 14), st.integers(0, 3))
def test_whatever_is_linked_falls_on_one_side(rows, cut, seed):
    pieces = {"sft": [keys_of(rows[:cut])], "pairs": [keys_of(rows[cut:], len(rows[:cut]))]}
    result = split.assign_test_rows(pieces, 0.5, seed)
    side = [*result["sft"], *result["pairs"]]
    assert len(side) == len(rows)
    for family in families(rows):
        assert len({side[i] for i in family}) == 1


def test_rows_that_come_later_move_none_that_were_there():
    rows = [(9, f"text {i}") for i in range(400)]
    some = split.assign_test_rows({"sft": [keys_of(rows[:300])]}, 0.2, 0)["sft"]
    every = split.assign_test_rows({"sft": [keys_of(rows)]}, 0.2, 0)["sft"]
    assert every[:300].to_list() == some.to_list()
    assert 50 < every.sum() < 110
    assert split.assign_test_rows({"sft": [keys_of(rows)]}, 0.2, 1)["sft"].to_list() != every.to_list()
    assert split.assign_test_rows({"sft": [keys_of(rows)]}, 0.0, 0)["sft"].sum() == 0


def test_case_and_spaces_make_no_other_opening():
    rows = [(9, text) for i in range(40) for text in (f"Where is {i}?", f" where  IS {i}?\n")]
    side = split.assign_test_rows({"sft": [keys_of(rows)]}, 0.5, 0)["sft"].to_list()
    assert side[::2] == side[1::2]
    assert set(side) == {True, False}


def test_a_grandchild_moves_nobody():
    def family(*names):
        talk = [[{"role": "user", "content": name}] for name in names]
        parents = [None, *names[:-1]]
        return split.group_keys(
            pl.DataFrame({"id": names, "parent": parents, "messages": talk}, schema_overrides={"parent": pl.String})
        )

    for i in range(60):
        names = (f"z{i}", f"a{i}", f"b{i}")
        before = split.assign_test_rows({"sft": [family(*names[:2])]}, 0.5, 0)["sft"].to_list()
        assert split.assign_test_rows({"sft": [family(*names)]}, 0.5, 0)["sft"].to_list() == [*before, before[0]]


def test_the_answers_to_one_question_are_on_one_side_in_both_sets(folder):
    side = {}
    for file in folder.rglob("*.parquet"):
        table = pl.read_parquet(file)
        for name in table["parent"] if "parent" in table.columns else table["id"]:
            assert side.setdefault(name, file.stem) == file.stem
    assert set(side.values()) == {"train", "test"}
