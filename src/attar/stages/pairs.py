"""Preference pairs out of several scored answers to each prompt.

The chosen answer is always the best; the rejected one the worst, the second, a random one, or the one nearest in length. A
prompt without a usable pair keeps its row, with the reason in `unfit`; `keep_usable` turns that into verdicts, and `audit`
into figures.
"""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Literal

import polars as pl

from attar.core.errors import RecipeError
from attar.core.fingerprint import seed_of
from attar.core.stage import reads, role
from attar.core.table import COLUMNS, Table, need, verdicts
from attar.core.text import normalise

Rejected = Literal["worst", "second", "random", "matched"]
_ALIKE = 0.9
"""Two answers with a trigram similarity (Jaccard) of at least this are too much alike to make a pair."""
_SCHEMA = {
    "id": pl.String,
    "messages": COLUMNS["messages"],
    "prompt": pl.String,
    "chosen": pl.String,
    "rejected": pl.String,
    "chosen_id": pl.String,
    "rejected_id": pl.String,
    "chosen_reward": pl.Float64,
    "rejected_reward": pl.Float64,
    "margin": pl.Float64,
    "second_margin": pl.Float64,
    "unfit": pl.String,
}
Row = dict[str, Any]


def _reads(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    return ("parent", "messages", "prompt", "response", *(knobs[name] for name in ("score", "second") if knobs[name]))


@role("pairs")
@reads(_reads)
def choose(
    table: Table,
    *,
    score: str = "reward",
    rejected: Rejected = "worst",
    margin: float = 0.0,
    second: str | None = None,
    seed: int = 0,
) -> Table:
    """parent, messages, response, {score} -> a row per prompt: messages, chosen, rejected, their ids, scores and margin, unfit.

    The chosen answer must lead by at least `margin`. `second` is another score, which is only used to audit the choice.
    """
    if margin < 0:
        raise RecipeError(f"margin must be >= 0, got {margin}")
    need(table, *_reads({"score": score, "second": second}))
    lines = []
    for answers in _groups(table):
        line = {"id": answers[0]["parent"], "messages": _without_answer(answers[0]["messages"]), "prompt": answers[0]["prompt"]}
        pair = _choose_pair(answers, score, rejected, margin, seed)
        lines.append(line | ({"unfit": pair} if isinstance(pair, str) else _pair_columns(*pair, score, second)))
    return pl.DataFrame(lines, schema=_SCHEMA)


def _groups(table: Table) -> Iterator[list[Row]]:
    """The answers to each prompt, in the order of the prompts' first rows."""
    for _, group in table.group_by("parent", maintain_order=True):
        yield group.sort("id").to_dicts()


def _without_answer(talk: list[dict[str, str]]) -> list[dict[str, str]]:
    return talk[:-1] if talk and talk[-1]["role"] == "assistant" else talk


def _choose_pair(answers: list[Row], score: str, rejected: Rejected, margin: float, seed: int) -> tuple[Row, Row] | str:
    """The chosen and the rejected answer, or the reason why there is no pair."""
    able = [row for row in answers if row["response"] and row[score] is not None]
    if len(able) < 2:
        return f"{len(able)} of {len(answers)} answers with a score"
    ranked = sorted(able, key=lambda row: -row[score])
    best = ranked[0]
    worse = [row for row in ranked[1:] if best[score] > row[score]]
    if not worse:
        return "all answers score the same"
    worse = [row for row in worse if best[score] - row[score] >= margin]
    if not worse:
        return f"no answer is worse by {margin:g}"
    candidates = [row for row in worse if similarity(best["response"], row["response"]) < _ALIKE]
    if not candidates:
        return "the answers are nearly the same"
    match rejected:
        case "worst":
            return best, candidates[-1]
        case "second":
            return best, candidates[0]
        case "matched":
            return best, min(candidates, key=lambda row: abs(len(row["response"]) - len(best["response"])))
        case "random":
            return best, Random(seed_of("pair.choose", seed, best["parent"])).choice(candidates)


def similarity(one: str, other: str) -> float:
    """Jaccard similarity of the character trigrams of two texts, ignoring case and spacing."""
    first, second = _trigrams(one), _trigrams(other)
    return len(first & second) / len(first | second)


def _trigrams(text: str) -> set[str]:
    padded = f"  {normalise(text)} "
    return {padded[i : i + 3] for i in range(len(padded) - 2)}


def _pair_columns(best: Row, other: Row, score: str, second: str | None) -> dict[str, Any]:
    comparable = second and best[second] is not None and other[second] is not None
    return {
        "chosen": best["response"],
        "rejected": other["response"],
        "chosen_id": best["id"],
        "rejected_id": other["id"],
        "chosen_reward": best[score],
        "rejected_reward": other[score],
        "margin": best[score] - other[score],
        "second_margin": best[second] - other[second] if second and comparable else None,
    }


@reads("unfit")
def keep_usable(table: Table) -> Table:
    """unfit -> verdicts: keep the prompts that have a usable pair."""
    reasons = table["unfit"].to_list()
    return verdicts(table["id"].to_list(), [reason is None for reason in reasons], reasons, [None] * len(table))


@reads("chosen", "rejected", "margin", "second_margin", "unfit")
def audit(table: Table) -> Table:
    """chosen, rejected, margin, second_margin, unfit -> id, value, count: figures on the pairs, such as a bias to length."""
    pairs = table.filter(pl.col("unfit").is_null())
    longer = pairs.select(
        lead=(pl.col("chosen").str.len_chars().cast(pl.Int64) - pl.col("rejected").str.len_chars()).cast(pl.Float64)
    )["lead"]
    judged = pairs["second_margin"].drop_nulls()
    lines = [
        ("prompts", float(len(table)), len(table)),
        ("pairs", float(len(pairs)), len(table)),
        ("margin: mean", pairs["margin"].mean(), len(pairs)),
        ("margin: median", pairs["margin"].median(), len(pairs)),
        ("chosen longer by, characters: mean", longer.mean(), len(pairs)),
        ("share where the longer one is chosen", (longer > 0).mean(), len(pairs)),
        ("share where the second score agrees", (judged > 0).mean(), len(judged)),
    ]
    return pl.DataFrame(lines, schema={"id": pl.String, "value": pl.Float64, "count": pl.Int64}, orient="row")
