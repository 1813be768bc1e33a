"""The statistics that a dataset card shows, computed from the files themselves."""

import json
import math

import polars as pl
import pytest

from attar.outputs.dataset import summary


@pytest.fixture
def write(tmp_path):
    """Tables as the files of one dataset."""

    def go(*tables):
        files = [tmp_path / f"{place}.parquet" for place in range(len(tables))]
        for file, table in zip(files, tables, strict=True):
            table.write_parquet(file)
        return files

    return go


def turns(*texts):
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


def test_lengths_are_counted_in_characters_over_all_files(write):
    files = write(
        pl.DataFrame({"messages": [turns("häl", "four")]}), pl.DataFrame({"messages": [turns("a", "bb", "ccc", "dddddd")]})
    )
    found = summary.figures(files, "sft")["numbers"]
    assert {name: (one["least"], one["mean"], one["most"]) for name, one in found.items()} == {
        "turns": (2, 3.0, 4),
        "characters, messages": (7, 9.5, 12),  # 3 + 4; 1 + 2 + 3 + 6
        "characters, last answer": (4, 5.0, 6),
    }


def test_the_lengths_of_pairs_are_those_of_the_prompt_and_of_both_answers(write):
    row = {"prompt": [turns("one", "two", "three")], "chosen": [turns("?", "good")], "rejected": [turns("?", "bad one")]}
    found = summary.figures(write(pl.DataFrame(row)), "preference")["numbers"]
    assert {name: one["most"] for name, one in found.items()} == {
        "turns": 3,
        "characters, prompt": 11,
        "characters, prompt's last turn": 5,
        "characters, chosen": 4,
        "characters, rejected": 7,
    }


def test_what_is_no_number_counts_for_nothing_and_a_column_of_nothing_is_left_out(write):
    scores = [*map(float, range(1, 101)), math.nan, math.inf, None]
    table = pl.DataFrame({"messages": [turns("a", "b")] * 103, "score": scores, "empty": [math.nan] * 103})
    found = summary.figures(write(table), "sft")["numbers"]
    assert "empty" not in found
    one = found["score"]
    assert (one["count"], one["least"], one["mean"], one["most"]) == (100, 1.0, 50.5, 100.0)
    assert one["5%"] == pytest.approx(5.5, abs=0.5)
    assert one["95%"] == pytest.approx(95.5, abs=0.5)


def test_labels_are_counted_the_most_common_first_and_texts_are_no_labels(write):
    count = 25
    columns = {
        "messages": [turns("a", "b")] * count,
        "quality": ["good"] * 3 + ["poor"] * 20 + [None] * 2,
        "safe": [True] * 24 + [False],
        "id": ["same"] * count,
        "topic": [f"t{place}" for place in range(count)],
        "language": [f"{chr(97 + place)}x" for place in range(count)],
    }
    found = summary.figures(write(pl.DataFrame(columns)), "sft")["labels"]
    assert list(found["quality"].items()) == [("poor", 20), ("good", 3), ("(none)", 2)]
    assert found["safe"] == {"true": 24, "false": 1}
    assert set(found) == {"quality", "safe", "language"}  # 25 topics are no labels, languages always are


def test_languages_are_codes_of_at_least_one_row_in_a_hundred():
    assert summary.languages({"en": 950, "DE": 30, "unknown": 10, "fr": 10, "it": 9}) == ["en", "de"]
    assert summary.languages({"en": 980, "fr": 10, "it": 9, "(none)": 1}) == ["en", "fr"]


def test_the_figures_are_those_of_the_rows(folder):
    table = pl.concat([pl.read_parquet(file) for file in (folder / "data" / "sft").glob("*.parquet")])
    facts = json.loads((folder / "attar.json").read_text())["configs"]["sft"]
    rewards = sorted(table["reward"])
    result = facts["numbers"]["reward"]
    assert (result["count"], result["least"], result["most"]) == (len(rewards), rewards[0], rewards[-1])
    assert result["mean"] == pytest.approx(sum(rewards) / len(rewards))
    assert result["50%"] in (rewards[len(rewards) // 2], rewards[(len(rewards) - 1) // 2])
    lengths = [len(text) for text in table["response"]]
    assert facts["numbers"]["characters, last answer"]["most"] == max(lengths)
    assert facts["labels"]["language"] == {code: table["language"].to_list().count(code) for code in ("en", "de")}
