"""Rows of a run as the report shows them: how columns are spread, the map, rows to read, pairs, losses, costs."""

import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.outputs.report import costs, distributions, examples, lineage, losses, pairs, prompt_map
from attar.runtime.home import run_record
from attar.stages import pairs as pair


def rows(drawing):
    """The rows of a drawing's data, those of all layers."""
    return [row for data in drawing["datasets"].values() for row in data]


def test_each_column_is_spread_over_the_widest_step_that_has_it(line, small_run):
    found = {each.column: each for each in distributions.lineage_distributions(line(small_run, "chosen"))}
    assert list(found) == ["reward"]
    reward = found["reward"]
    assert (reward.rows, reward.kept, reward.dropped) == (5, 4.5, 1.0)  # kept 5 and 4; dropped 3, 1 and -2
    drawn = rows(reward.drawing)
    assert (sum(row["rows"] for row in drawn), sum(row["kept"] for row in drawn)) == (5, 2)


def test_what_was_measured_in_characters_is_not_shown_in_tokens_too(line):
    both = pl.DataFrame({"id": ["a", "b"], "prompt_chars": [4, 9], "prompt_tokens": [1, 2], "response_tokens": [5, 6]})
    found = distributions.lineage_distributions(line([{"name": "end", "stage": "x.y", "table": both}], "end"))
    assert [each.column for each in found] == ["prompt_chars", "response_tokens"]


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.booleans()), min_size=2, max_size=60).filter(lambda pairs: len(set(pairs)) > 1)
)
def test_every_row_is_in_one_bin_and_kept_ones_are_among_them(pairs):
    values = pl.DataFrame({"value": [value for value, _ in pairs], "kept": [kept for _, kept in pairs]})
    found = list(distributions.count_bins(values))
    assert sum(row["rows"] for row in found) == len(pairs)
    assert sum(row["kept"] for row in found) == sum(kept for _, kept in pairs)
    assert all(0 <= row["kept"] <= row["rows"] for row in found)


def test_a_few_values_far_away_do_not_press_all_others_into_one_bin():
    values = pl.DataFrame({"value": [float(i % 100) for i in range(1000)] + [1e6], "kept": [True] * 1001})
    found = list(distributions.count_bins(values))
    assert sum(row["rows"] > 0 for row in found) == len(found)
    assert found[-1]["high"] < 200


def test_words_stand_in_the_order_of_their_scale_and_others_by_how_common_they_are():
    def words(*values):
        table = pl.DataFrame({"value": values, "kept": [value == values[0] for value in values]})
        return [(line["value"], line["rows"], line["kept"]) for line in distributions.count_words(table)]

    assert words("hard", "hard", "very easy", "medium") == [("very easy", 1, 0), ("medium", 1, 0), ("hard", 2, 2)]
    assert words("math", "code", "code") == [("code", 2, 0), ("math", 1, 1)]
    assert words(*(f"w{i:02d}" for i in range(20)))[-1] == ("8 others", 8, 0)


def test_a_column_of_one_value_has_nothing_to_show():
    assert (
        distributions.column_distribution("reward", pl.DataFrame({"value": [1.0, 1.0, None], "kept": [True, False, True]}))
        is None
    )


def test_what_is_no_number_is_left_out_of_a_spread(line):
    odd = pl.DataFrame({"id": list("abcd"), "reward": [1.0, float("nan"), float("inf"), 2.0]})
    (found,) = distributions.lineage_distributions(line([{"name": "end", "stage": "x.y", "table": odd}], "end"))
    assert found.rows == 2


def test_the_plane_keeps_what_a_line_of_points_is_and_says_how_much_it_shows():
    along = np.array([[1.0, 2.0, 2.0]]) / 3  # a direction of length one
    points, share = prompt_map.project(np.arange(5.0)[:, None] * along)
    assert share == pytest.approx(1)
    assert points[:, 0] == pytest.approx([-2, -1, 0, 1, 2])
    assert points[:, 1] == pytest.approx([0] * 5, abs=1e-6)


@pytest.mark.parametrize("shape", [(50, 8), (8, 50)])
def test_the_planes_directions_are_those_along_which_rows_differ_most(shape):
    vectors = np.random.default_rng(0).normal(size=shape)
    points, share = prompt_map.project(vectors)
    spectrum = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False) ** 2
    assert (points**2).sum(axis=0) == pytest.approx(spectrum[:2])
    assert share == pytest.approx(spectrum[:2].sum() / spectrum.sum())


@given(st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=40), st.integers(0, 10))
def test_a_sample_depends_on_ids_and_not_on_their_order_and_grows_by_adding(ids, most):
    mixed = random.Random(1).sample(ids, len(ids))
    found = prompt_map.sample_by_hash(ids, most)
    assert prompt_map.sample_by_hash(mixed, most) == found
    assert prompt_map.sample_by_hash(ids, most + 5)[: len(found)] == found
    assert len(found) == min(most, len(ids))


def test_the_map_of_a_run_without_vectors_is_by_ngrams_with_each_prompt_once(line, small_run):
    found = prompt_map.plane(line(small_run, "chosen"), [])
    points = {row["id"]: row for row in rows(found.drawing)}
    assert found.by_ngrams
    assert {name: row["state"] for name, row in points.items()} == {
        "a": "dropped",
        "b": "dropped",
        "c": "kept",
        "d": "dropped",
        "e": "dropped",
        "f": "kept",
    }
    assert points["b"]["why"] == "repeats a prompt"


def test_the_map_is_of_the_vectors_that_a_run_has(home, made):
    vectors = [[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    texts = pl.DataFrame({"id": list("abcd"), "prompt": ["p"] * 4, "embedding": vectors})
    steps = [
        {"name": "vectors", "stage": "annotate.embed.vectors", "table": texts},
        {"name": "end", "stage": "x.y", "table": texts.head(1).drop("embedding"), "inputs": ["vectors"]},
    ]
    made("one", {}, steps)
    done = lineage.finished_steps(home, run_record(home, "one"))
    found = prompt_map.plane(lineage.build_lineage(done, "end-one"), list(done.values()))
    assert (found.by_ngrams, found.rows, found.share) == (False, 4, pytest.approx(1))
    assert {row["id"]: (abs(row["x"]), abs(row["y"])) for row in rows(found.drawing)} == {
        "a": (3, 0),
        "b": (3, 0),
        "c": (0, 1),
        "d": (0, 1),
    }


def test_rows_to_read_are_the_ends_and_the_border_with_reasons(line, small_run):
    found = {
        each.title: [(row["id"], row["why"]) for row in each.rows] for each in examples.examples(line(small_run, "chosen"))
    }
    assert found == {
        "The highest that were kept": [("c", None), ("f", None)],
        "Just dropped": [("a", "rank 3 by reward, 2 kept"), ("d", "rank 4 by reward, 2 kept")],
        "The lowest of all": [("e", "not: reward > 0")],
    }


def test_without_a_ranking_the_border_is_not_called_one(line, small_run):
    small_run[-2] |= {"stage": "select.rank.chance", "card": {"knobs": {"keep": 2}}}
    titles = [each.title for each in examples.examples(line(small_run, "chosen"))]
    assert titles == ["The highest that were kept", "The highest that were dropped last", "The lowest of all"]


def test_rows_without_a_score_are_still_shown(line, small_run):
    for step in small_run:
        step["table"] = step["table"].drop("reward", strict=False)
    (found,) = examples.examples(line(small_run, "chosen"))
    assert (found.by, [row["id"] for row in found.rows]) == (None, ["c", "f"])


def answers(*rows_given):
    return pl.DataFrame(
        [
            {
                "parent": p,
                "id": f"{p}.{i}",
                "messages": [{"role": "user", "content": p}],
                "prompt": p,
                "response": text,
                "reward": score,
            }
            for i, (p, text, score) in enumerate(rows_given)
        ]
    )


def test_pairs_are_shown_by_their_audit_their_margins_and_why_prompts_gave_none():
    drawn = pair.choose(
        answers(
            ("p", "short", 3.0), ("p", "much longer text", 1.0), ("q", "alone", 1.0), ("r", "abcdefgh", 9.0), ("r", "zz", 2.0)
        )
    )
    found = pairs.pairs(pair.audit(drawn), drawn)
    audit = dict(found.audit)
    assert (audit["prompts"], audit["pairs"], audit["margin: mean"]) == ("3", "2", "4.50")
    assert audit["share where the longer one is chosen"] == "50.0% of 2"
    assert list(found.unfit) == [("1 of 1 answers with a score", 1)]
    assert [row["id"] for row in found.read] == ["r", "p"]
    lead, margin = (rows(drawing) for drawing in found.drawings.values())
    assert (lead[0]["low"], lead[-1]["high"]) == (-11, 6)  # 5 letters against 16, and 8 against 2
    assert (margin[0]["low"], margin[-1]["high"]) == (2, 7)


def test_pairs_that_nobody_scored_are_shown_by_their_lengths_alone():
    drawn = pl.DataFrame({"id": ["a", "b"], "prompt": ["p", "q"], "chosen": ["xxx", "x"], "rejected": ["x", "xxx"]})
    found = pairs.pairs(None, drawn)
    assert list(found.drawings) == ["chosen minus rejected length, characters"]


def curve(steps):
    return pl.DataFrame(
        {"id": [f"s{i}" for i in range(steps)], "step": list(range(steps)), "loss": [float(i) for i in range(steps)]}
    )


def test_trainings_of_a_kind_share_a_drawing_and_long_ones_are_thinned(home, made):
    steps = [
        {"name": "train-a", "stage": "train.sft.train", "table": curve(4)},
        {"name": "train-b", "stage": "train.sft.train", "table": curve(1000)},
        {"name": "scorer", "stage": "train.scorer.train", "table": curve(2)},
        {"name": "brief", "stage": "train.preference.train", "table": curve(1)},
    ]
    made("one", {}, steps)
    students, judges = losses.losses(lineage.finished_steps(home, run_record(home, "one")).values())
    assert (students.count, judges.count) == (2, 1)
    drawn = [row for row in rows(students.drawing) if row["training"] == "train-b"]
    assert len(drawn) == 250  # every fourth step, with the mean of four
    assert drawn[0] == {"training": "train-b", "step": 3, "loss": 1.5}


def test_costs_are_sums_over_all_attempts_and_an_unknown_price_is_not_zero(home, made):
    def asked(name, engine, cost, seconds, **spent):
        card = {"cost": cost, "seconds": seconds, "failed": 1, "spent": {"asked": 0, "recalled": 0, "tokens_in": 0} | spent}
        return {"name": name, "stage": "x.ask", "engine": engine, "role": "teacher", "card": card}

    steps = [
        asked("ask-1", "big", 1.25, 3.0, asked=10, recalled=2, tokens_in=100, tokens_out=50),
        asked("ask-2", "big", 0.25, 1.0, asked=5, tokens_out=7),
        asked("rate", "mine", None, 2.0, asked=1, tokens_out=1),
        {"name": "sort", "stage": "x.sort", "card": {"seconds": 4.0}},
    ]
    made("one", {}, steps)
    record = run_record(home, "one")
    found = costs.costs(record, lineage.finished_steps(home, record))
    big, mine = found.engines["teacher", "big"], found.engines["teacher", "mine"]
    assert (big.asked, big.recalled, big.tokens_in, big.tokens_out, big.cost, big.seconds, big.failed) == (
        15,
        2,
        100,
        57,
        1.5,
        4.0,
        2,
    )
    assert mine.cost is None
    assert found.total.cost is None
    assert (found.total.tokens_out, found.total.seconds, found.total.steps) == (58, 10.0, 4)
    assert [(line["step"], line["seconds"]) for line in costs.slowest_steps(found.steps)] == [
        ("ask-n (2 steps)", 4.0),
        ("sort", 4.0),
        ("rate", 2.0),
    ]
