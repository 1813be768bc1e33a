"""Evolve prompts into harder ones and responses into better ones: each round starts from the row's last valid text.

For a scorer's training data (`prompts`, `responses`), or as Evol-Instruct (`prompts` with the ways `DEPTH + BREADTH`). A row
keeps its whole chain in `variants`, so that one prompt can rank it and a run can resume by rows; `flat` turns variants into
rows. A failed attempt keeps its place, without a text, and `eliminated` has the reason.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import polars as pl

from attar.core.errors import RecipeError, did_you_mean
from attar.core.fingerprint import seed_of
from attar.core.replies import Failure
from attar.core.stage import role, rowwise
from attar.core.table import COLUMNS, ORIGIN, Table, need, origin, turns
from attar.engines.ask_rows import generate_answers
from attar.engines.base import Generator, Request, Sampling
from attar.stages.synth.evolve_prompts import COMPLEXITY, QUALITY, WAYS, Kind, Way, check_evolution

_MOST_ROUNDS = 25
Chain = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to evolve, in which ways, for how many rounds, and the sampling settings."""

    kind: Kind
    ways: tuple[str, ...]
    rounds: int
    drawn: Sampling
    seed: int

    def __post_init__(self) -> None:
        known = [name for name, way in WAYS.items() if way.kind == self.kind]
        if unknown := [name for name in self.ways if name not in known]:
            raise RecipeError(f"no way {unknown[0]!r} evolves a {self.kind}; {did_you_mean(unknown[0], known)}")
        if not self.ways or not 1 <= self.rounds <= _MOST_ROUNDS:
            raise RecipeError(
                f"rounds must be 1 to {_MOST_ROUNDS} and ways not empty, got {self.rounds} rounds of {len(self.ways)} ways"
            )


@role("samples")
@rowwise
def prompts(  # noqa: PLR0913 (sampling is two knobs)
    table: Table,
    *,
    engine: Generator,
    rounds: int = 5,
    ways: Sequence[str] = COMPLEXITY,
    temperature: float = 0.7,
    max_tokens: int = 1024,
    seed: int = 0,
) -> Table:
    """prompt -> variants (round, way, prompt, eliminated; round 0 is the row's own prompt), variants_error, origin."""
    need(table, "id", "prompt")
    return _evolve(table, engine, _Plan("prompt", tuple(ways), rounds, Sampling(temperature, max_tokens=max_tokens), seed))


@role("samples")
@rowwise
def responses(  # noqa: PLR0913 (sampling is two knobs)
    table: Table,
    *,
    engine: Generator,
    rounds: int = 5,
    ways: Sequence[str] = QUALITY,
    temperature: float = 0.7,
    max_tokens: int = 2048,
    seed: int = 0,
) -> Table:
    """prompt, response -> variants (round, way, response, eliminated; round 0 is the row's own), variants_error, origin."""
    need(table, "id", "prompt", "response")
    return _evolve(table, engine, _Plan("response", tuple(ways), rounds, Sampling(temperature, max_tokens=max_tokens), seed))


def _evolve(table: Table, engine: Generator, plan: _Plan) -> Table:
    """Extend every row's chain, one round at a time over all rows."""
    rows = table.select("id", *{"prompt", plan.kind}).to_dicts()
    chains: list[Chain] = [[_variant(plan.kind, 0, None, _root(row, plan.kind))] for row in rows]
    able = [(row, chain) for row, chain in zip(rows, chains, strict=True) if chain[0][plan.kind]]
    for turn in range(1, plan.rounds + 1):
        seeds = [seed_of(f"evolve.{plan.kind}s", plan.seed, row["id"], turn) for row, _ in able]
        names = [Random(seed).choice(plan.ways) for seed in seeds]
        earlier = [[one[plan.kind] for one in chain if one[plan.kind]] for _, chain in able]
        asks = [
            Request(0, messages=_question(WAYS[name], row["prompt"], texts[-1]), sampling=plan.drawn, seed=seed)
            for (row, _), name, texts, seed in zip(able, names, earlier, seeds, strict=True)
        ]
        for (_, chain), name, texts, answer in zip(able, names, earlier, generate_answers(engine, asks), strict=True):
            chain.append(_variant(plan.kind, turn, name, check_evolution(answer, WAYS[name], texts)))
    made = origin(f"synth.evolve.{plan.kind}s", engine.spec.name, plan.seed)
    return table.with_columns(
        pl.Series("variants", chains, dtype=_variants(plan.kind)),
        pl.Series("variants_error", [_failure_reason(chain) for chain in chains], dtype=pl.String),
        pl.Series("origin", [made | {"parents": [row["id"]]} for row in rows], dtype=ORIGIN),
    )


def _variants(kind: Kind) -> pl.List:
    return pl.List(pl.Struct({"round": pl.Int64, "way": pl.String, kind: pl.String, "eliminated": pl.String}))


def _variant(kind: Kind, turn: int, way: str | None, found: str | Failure) -> dict[str, Any]:
    text, reason = (None, found.reason) if isinstance(found, Failure) else (found, None)
    return {"round": turn, "way": way, kind: text, "eliminated": reason}


def _root(row: dict[str, str | None], kind: Kind) -> str | Failure:
    """The start of a row's chain; a response needs its prompt too."""
    absent = [name for name in ("prompt", kind) if not (row[name] or "").strip()]
    return Failure(f"no {absent[0]}") if absent else row[kind] or ""


def _question(way: Way, prompt: str, text: str) -> tuple[dict[str, str], ...]:
    if way.kind == "response":
        shown = f"The request, between the lines:\n-----\n{prompt}\n-----\nIts answer, between the lines:\n-----\n{text}\n-----"
        return _talk(way, f"{shown}\nWrite the better answer.")
    shown = f"The request, between the lines:\n-----\n{text}\n-----"
    return _talk(way, f"{shown}\nWrite the {'other' if way.replaces else 'harder'} one.")


def _talk(way: Way, user: str) -> tuple[dict[str, str], ...]:
    return ({"role": "system", "content": way.system}, {"role": "user", "content": user})


def _failure_reason(chain: Chain) -> str | None:
    """Why a row has no variant but its own text, or none at all."""
    reasons = [one["eliminated"] for one in chain[1:]]
    if not reasons:
        return chain[0]["eliminated"]
    return f"none held: {Counter(reasons).most_common(1)[0][0]}" if all(reasons) else None


@rowwise
def flat(table: Table) -> Table:
    """variants, scores -> a row a variant: parent, round, way, prompt, response, messages, eliminated, score, score_error.

    Variants of prompts have no response, and scores are there if they were given. What else the row had was its own, and goes.
    """
    need(table, "id", "variants", "origin")
    lists = [name for name in ("variants", "scores") if name in table.columns]
    many = table.select("id", *lists, "origin", *(["prompt"] if _kind(table) == "response" else []))
    many = many.explode(lists).unnest(lists)
    texts = [name for name in ("prompt", "response") if name in many.columns]
    talks = [
        [] if row["eliminated"] else turns(("user", row["prompt"]), ("assistant", row.get("response")))
        for row in many.select(*texts, "eliminated").iter_rows(named=True)
    ]
    graded = ["score", "score_error"] if "scores" in lists else []
    return many.select(
        pl.format("{}.{}", "id", "round").alias("id"),
        pl.col("id").alias("parent"),
        *("round", "way", *texts),
        pl.Series("messages", talks, dtype=COLUMNS["messages"]),
        *("eliminated", *graded),
        pl.when(pl.col("round") > 0).then("origin").alias("origin"),
    )


def _kind(table: Table) -> Kind:
    """Whether a table's variants are prompts or responses."""
    kind = table.schema["variants"]
    fields = (
        [field.name for field in kind.inner.fields] if isinstance(kind, pl.List) and isinstance(kind.inner, pl.Struct) else []
    )
    return "response" if "response" in fields else "prompt"
