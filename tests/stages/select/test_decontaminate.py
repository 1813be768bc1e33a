import numpy as np
import polars as pl
import pytest

from attar.core.errors import DataError, RecipeError
from attar.similarity import shingles
from attar.stages.select import decontaminate
from attar.stages.select.decontaminate import by_meaning, by_words, count_overlaps, pin

HAWAII = """Compose an engaging travel blog post about a recent trip to Hawaii, highlighting cultural experiences and \
must-see attractions."""
TUNE = "Use ABC notation to write a melody in the style of a folk tune."
BREAD = "How long does it take to bake a loaf of bread today?"  # 12 words, 10 triples


@pytest.fixture
def mine(tmp_path):
    def write(*lines):
        (tmp_path / "mine.txt").write_text("\n".join(lines))
        return [str(tmp_path / "mine.txt")]

    return write


def table(*prompts):
    return pl.DataFrame(
        {
            "id": pl.Series([f"r{i}" for i in range(len(prompts))], dtype=pl.String),
            "prompt": pl.Series(prompts, dtype=pl.String),
        }
    )


def reasons(prompts, **knobs):
    out = by_words(table(*prompts), **knobs)
    assert out["because"].null_count() == len(prompts)
    assert out["kept"].to_list() == [reason is None for reason in out["reason"]]
    return out["reason"].to_list()


def test_the_common_benchmarks_are_known_by_their_hashes():
    first, second, third, fourth = reasons(
        [HAWAII.upper(), TUNE, "Rewrite your previous response. Start every sentence with the letter A.", "Bake a cake."]
    )
    assert first is not None
    assert first.startswith("overlaps alpaca_eval item ")
    assert second == "overlaps arena_hard item 1: 13 words in a row"
    assert third == "overlaps mt_bench item 81 turn 2: the same words"
    assert fourth is None
    assert reasons([HAWAII], against=["mt_bench"]) == ["overlaps mt_bench item 81: 13 words in a row"]


def test_thirteen_words_in_a_row_overlap_and_twelve_do_not(mine):
    words = [f"w{i}" for i in range(40)]
    against = mine(" ".join(words))
    asks = [" ".join(["so", *words[5 : 5 + count], "then"]) for count in (12, 13)]
    assert reasons(asks, against=against) == [None, "overlaps mine.txt item 1: 13 words in a row"]


def test_a_short_item_is_found_only_where_it_is_all_that_is_asked(mine):
    against = mine("What is love?")
    assert reasons(["what is love", "What is love and where?", "Love is what?"], against=against) == [
        "overlaps mine.txt item 1: the same words",
        None,
        None,
    ]


def test_an_item_of_eight_words_is_found_by_its_share_of_triples(mine):
    against = mine("one two three four five six seven", BREAD)
    edited = BREAD.replace(" of ", " with ")  # three of ten triples are gone
    asks = [f"Tell me: {BREAD} I wonder.", edited, "ah one two three four five six seven oh"]
    assert reasons(asks, against=against) == [
        "overlaps mine.txt item 2: 100% of its word triples",
        "overlaps mine.txt item 2: 70% of its word triples",
        None,
    ]
    assert reasons([edited], against=against, share=0.7) != [None]
    assert reasons([edited], against=against, share=0.71) == [None]


def test_the_first_of_several_items_is_named(mine):
    assert reasons([BREAD], against=mine("a b", BREAD, BREAD)) == ["overlaps mine.txt item 2: the same words"]


def test_of_items_with_triples_enough_the_first_is_named(mine):
    assert reasons([f"Tell me: {BREAD}"], against=mine("a b", BREAD, BREAD)) == [
        "overlaps mine.txt item 2: 100% of its word triples"
    ]


def test_rows_are_named_rightly_however_they_are_cut(mine, monkeypatch):
    monkeypatch.setattr(shingles, "_CHUNK_BYTES", 100)
    asks = [
        None if i == 3 else BREAD if i % 7 == 0 else f"Tell me: {BREAD}" if i % 7 == 1 else f"Bake cake {i}." for i in range(50)
    ]
    answers = reasons(asks, against=mine(BREAD))
    assert [i for i, reason in enumerate(answers) if reason and "same" in reason] == list(range(0, 50, 7))
    assert [i for i, reason in enumerate(answers) if reason and "triples" in reason] == list(range(1, 50, 7))
    assert answers[3] == "no prompt"


def test_verdicts_hang_on_no_other_row():
    asks = [HAWAII, None, "Bake a cake.", TUNE, ""] * 3
    whole = by_words(table(*asks))
    assert whole["reason"].to_list()[1] == "no prompt"
    for at in range(0, len(asks), 4):
        assert by_words(table(*asks)[at : at + 4]).equals(whole[at : at + 4])
    assert by_words(table()).schema == whole.schema


def test_of_conversations_every_user_turn_is_read_and_no_other():
    talks = [
        [
            {"role": "user", "content": "Hello there."},
            {"role": "assistant", "content": "Hi."},
            {"role": "user", "content": TUNE},
        ],
        [{"role": "user", "content": "Set me a task."}, {"role": "assistant", "content": TUNE}],
        None,
    ]
    rows = pl.DataFrame({"id": ["a", "b", "c"], "messages": talks})
    assert by_words(rows, column="messages")["reason"].to_list() == [
        "overlaps arena_hard item 1: 13 words in a row",
        None,
        "no messages",
    ]
    with pytest.raises(RecipeError, match="column 'n' must hold texts or conversations, got Int64"):
        by_words(pl.DataFrame({"id": ["a"], "n": [1]}), column="n")


def test_a_changed_file_of_a_run_is_refused(mine):
    against = mine(BREAD)
    knobs = pin(["mt_bench", *against])
    assert knobs["content"][0] is None
    assert by_words(table(BREAD), **knobs)["kept"].to_list() == [False]
    mine(TUNE)
    with pytest.raises(DataError, match="has changed since the run was started"):
        by_words(table(BREAD), **knobs)


def test_knobs_that_cannot_be_meant_are_refused():
    with pytest.raises(RecipeError, match="share must be > 0 and <= 1, got 0"):
        by_words(table("a"), share=0)
    with pytest.raises(DataError, match="column 'question' is missing"):
        by_words(table("a"), column="question")
    assert reasons(["a"], against=[]) == [None]


def test_the_card_can_say_how_many_rows_overlapped_which_benchmark():
    out = count_overlaps(by_words(table(TUNE, TUNE, HAWAII, "Bake a cake.", None), against=["mt_bench", "arena_hard"]))
    assert out.to_dicts() == [{"id": "arena_hard", "rows": 2, "items": 1}, {"id": "mt_bench", "rows": 1, "items": 1}]
    assert count_overlaps(by_words(table("Bake a cake."))).is_empty()


def vectors(rows, prefix):
    return pl.DataFrame(
        {"id": [f"{prefix}{i}" for i in range(len(rows))], "embedding": pl.Series(rows, dtype=pl.List(pl.Float32))}
    )


def test_rows_that_mean_what_an_item_means_are_dropped_for_the_nearest():
    rows = vectors([[3.0, 4.0], [0.0, -2.0], None, [1.0, 0.1]], "r")
    bench = vectors([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]], "q")
    out = by_meaning(rows, bench, threshold=0.79, name="exam")
    assert out["reason"].to_list() == [
        "overlaps exam item q1: cosine 0.80",
        None,
        "no embedding",
        "overlaps exam item q2: cosine 1.00",
    ]
    assert count_overlaps(out).to_dicts() == [{"id": "exam", "rows": 2, "items": 2}]
    assert by_meaning(rows, bench, threshold=0.80005)["kept"].to_list() == [True, True, False, False]


def test_a_cosine_that_32_bits_cannot_tell_from_the_threshold_is_decided_and_of_equal_items_the_first_is_named():
    row, item = [1.0, 0.0], [np.float64(np.float32(0.9)), np.float64(np.float32(0.3))]
    cosine = item[0] / (item[0] ** 2 + item[1] ** 2) ** 0.5
    rows, bench = vectors([row], "r"), vectors([item, item], "q")
    assert by_meaning(rows, bench, threshold=cosine + 1e-12)["kept"].to_list() == [True]
    assert by_meaning(rows, bench, threshold=cosine - 1e-12)["reason"][0].startswith("overlaps benchmark item q0: ")


def test_the_nearest_items_are_those_of_plain_cosines_over_many_blocks(monkeypatch):
    monkeypatch.setattr(decontaminate, "_BLOCK", 7)
    rng = np.random.default_rng(0)
    rows, items = rng.normal(size=(60, 5)), rng.normal(size=(9, 5))
    cosine = (rows / np.linalg.norm(rows, axis=1, keepdims=True)) @ (items / np.linalg.norm(items, axis=1, keepdims=True)).T
    out = by_meaning(vectors(rows.tolist(), "r"), vectors(items.tolist(), "q"), threshold=0.6)
    named = out["reason"].str.extract(r"item q(\d)").cast(pl.Int64).to_list()
    assert named == [int(row.argmax()) if row.max() > 0.6 else None for row in cosine]
    assert 5 < out["kept"].sum() < 55


def test_vectors_of_another_length_are_refused():
    with pytest.raises(DataError, match="have 2 numbers, the benchmark's 3"):
        by_meaning(vectors([[1.0, 0.0]], "r"), vectors([[1.0, 0.0, 0.0]], "q"))
