"""The recipes of `attar select`, `dedup`, `score` and `embed`: they wire steps and touch no rows.

A ledger passes from step to step. Each step judges the rows that are still kept, and reads only the columns it needs. Character
n-gram hashes are computed once for the whole pool, so that other knobs do not recompute them. A model embeds only the rows that
are left, and the journal has every text it embedded. The pool's own rows are no result; they are written from the pool itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from attar.core import scorer_prompts
from attar.core.errors import RecipeError, did_you_mean
from attar.engines.base import Spec
from attar.engines.local.spec import find_model_folder as where_model
from attar.engines.registry import kind_of
from attar.runtime.flow import Flow, Handle
from attar.stages import pool
from attar.stages.annotate import embed, judge, scorer
from attar.stages.annotate.judge_prompts import RUBRICS
from attar.stages.select import budget, dedup, diverse, keep, ledger, rank, where

DEDUPS = {"exact": None, "near": 0.7, "semantic": 0.95}
"""The kinds of repeats with their default limits: the least Jaccard similarity, or the cosine similarity to exceed."""
DIVERSE = 0.9
TOKENS = f"{pool.CHARS} / 4"


def selection(  # noqa: PLR0913 (the knobs of a selection)
    flow: Flow,
    *,
    source: Mapping[str, Any],
    on: pool.On = "conversation",
    rule: str | None = None,
    by: str | None = None,
    dedups: Mapping[str, float | None] | None = None,
    diverse_at: float | None = None,
    count: int | None = None,
    tokens: float | None = None,
    cost: str = TOKENS,
    per: str | None = None,
    share: rank.Share = "even",
    vectors: str | None = None,
    embedder: Spec | None = None,
) -> Mapping[str, Handle]:
    """Keep the best rows, without repeats and similar rows; `vectors` names a column of the pool with vectors."""
    if count is not None and tokens is not None:
        raise RecipeError("count (rows) and tokens exclude each other: give one of them")
    if vectors is not None and embedder is not None:
        raise RecipeError(f"vectors (column {vectors!r}) and an embedder exclude each other: give one of them")
    picks = _Selection(flow, source, on, by, (rule, per, cost if tokens is not None else None))
    dedups = dedups or {}
    given = flow(pool.vectors, picks.rows, column=vectors, name="given") if vectors is not None else None
    if rule:
        picks.drop("where", where.holds, picks.rest(where.columns(rule)), rule=rule)
    if by and (count is not None or tokens is not None or diverse_at is not None):
        picks.drop("by", ledger.keep_with_value, picks.rest(), column=ledger.SCORE, called=by)
    if "exact" in dedups:
        picks.drop("exact", dedup.exact, picks.rest([on]), column=on, best=picks.order)
    if "near" in dedups:
        picks.drop("near", dedup.near, picks.rest([on]), column=on, best=picks.order, threshold=dedups["near"])
    if "semantic" in dedups or diverse_at is not None:
        rows = _embed(picks, embedder) if given is None else _usable_vectors(picks, given, str(vectors))
        _drop_similar(picks, rows, vectors or "embedding", dedups.get("semantic"), diverse_at, count if per is None else None)
    _apply_budget(picks, count, tokens, cost, per, share)
    return {"ledger": picks.ledger}


class _Selection:
    """The ledger so far, and the tables of the pool."""

    def __init__(
        self, flow: Flow, source: Mapping[str, Any], on: pool.On, by: str | None = None, rules: Sequence[str | None] = ()
    ) -> None:
        self.flow = flow
        self.on = on
        self.by = by
        self.order = ledger.SCORE if by else ledger.ORDER
        self.rows = flow(pool.read, **source, name="pool")
        self.texts = flow(pool.texts, self.rows, on=on, name="texts")
        self.ledger = flow(ledger.open_ledger, self.rows, name="read")
        self.read = {name for rule in (by, *rules) if rule for name in where.columns(rule)} - {on, pool.CHARS}
        self.facts = flow(pool.select_columns, self.rows, columns=sorted(self.read), name="facts") if self.read else self.texts

    def rest(self, columns: Sequence[str] = (), *, of: Handle | None = None) -> Handle:
        """The rows still kept, with these columns of the texts, of the rules' columns, or of the table `of`."""
        wanted, own = {*columns, *(where.columns(self.by) if self.by else ())}, {self.on, pool.CHARS}
        tables: list[Handle] = [of] if of else []
        tables += [self.facts] if wanted & self.read or not (wanted or of) else []
        first, *more = [*tables, *([self.texts] if wanted & own else [])]
        return self.flow(ledger.remaining_rows, first, self.ledger, *more, columns=list(columns), by=self.by, name="left")

    def drop(self, step: str, stage: Any, rows: Handle, **knobs: Any) -> Handle:
        """Run a stage that judges the rows, and update the ledger with its verdicts."""
        judged = self.flow(stage, rows, **knobs, name=step)
        self.ledger = self.flow(ledger.update, self.ledger, judged, step=step, name=f"after-{step}")
        return judged


def _embed(picks: _Selection, embedder: Spec | None) -> Handle:
    """The rows left that have a vector, from character n-grams or from a model."""
    if embedder is None:
        vectors = picks.flow(embed.letters, picks.texts, column=picks.on, name="letters")
        rows = picks.rest(["embedding", "embedding_error"], of=vectors)
    else:  # drop empty texts first, so that they do not count as failures of the model
        picks.drop("text", ledger.keep_with_value, picks.rest([picks.on]), column=picks.on)
        rows = picks.flow(embed.vectors, picks.rest([picks.on]), engine=embedder, column=picks.on, name="embed")
    judged = picks.drop("embed", ledger.keep_with_value, rows, column="embedding", told=True)
    return picks.flow(keep.rows, rows, judged, name="embedded")


def _usable_vectors(picks: _Selection, given: Handle, column: str) -> Handle:
    """The rows left that have a vector in the pool's column."""
    rows = picks.rest([column], of=given)
    return picks.flow(keep.rows, rows, picks.drop("vectors", pool.keep_with_vectors, rows, column=column), name="comparable")


def _drop_similar(
    picks: _Selection, rows: Handle, column: str, semantic: float | None, diverse_at: float | None, count: int | None
) -> None:
    """Drop rows with similar vectors."""
    if semantic is not None:
        judged = picks.drop("semantic", dedup.semantic, rows, column=column, best=picks.order, threshold=semantic)
        rows = picks.flow(keep.rows, rows, judged, name="new")
    if diverse_at is not None:
        picks.drop("diverse", diverse.keep, rows, column=column, by=picks.order, threshold=diverse_at, keep=count)


def _apply_budget(
    picks: _Selection, count: int | None, tokens: float | None, cost: str, per: str | None, share: rank.Share
) -> None:
    """Keep the best rows within the budget of rows or tokens."""
    if count is None and tokens is None:
        if per:
            raise RecipeError("'per' needs a budget: set count or tokens")
        return
    by = picks.by or picks.order
    wanted = [name for rule in (picks.by, per, cost if tokens is not None else None) if rule for name in where.columns(rule)]
    rows = picks.rest(wanted)
    if tokens is not None:
        picks.drop("budget", budget.fill, rows, by=by, tokens=tokens, cost=cost, per=per, share=share)
    elif picks.by or per:
        picks.drop("budget", rank.top, rows, by=by, keep=count, per=per, share=share)
    else:
        picks.drop("budget", ledger.keep_first, rows, keep=count)


def scoring(
    flow: Flow, *, source: Mapping[str, Any], trained: Mapping[str, str | None], **graders: Spec
) -> Mapping[str, Handle]:
    """Score a pool's rows, each score by its grader: a judge with a rubric, or a scorer `trained` on a question."""
    picks = _Selection(flow, source, "conversation")
    rows = picks.rest(["messages", "prompt", "response"], of=picks.rows)
    for what, grader in graders.items():
        if what in trained:
            rows = flow(scorer.score, rows, engine=grader, what=what, question=trained[what], name=what)
        else:
            rows = flow(judge.score, rows, engine=grader, rubric=what, into=what, name=what)
    if {"complexity", "quality"} <= set(trained):
        rows = flow(scorer.evol, rows)
    return {"ledger": picks.ledger, "columns": flow(ledger.added_columns, rows, name="added")}


def embedding(
    flow: Flow, *, source: Mapping[str, Any], on: pool.On = "conversation", embedder: Spec | None = None
) -> Mapping[str, Handle]:
    """Embed a pool's rows."""
    picks = _Selection(flow, source, on)
    if embedder is None:
        vectors = flow(embed.letters, picks.texts, column=on, name="letters")
        rows = picks.rest(["embedding", "embedding_error"], of=vectors)
    else:
        rows = flow(embed.vectors, picks.rest([on]), engine=embedder, column=on, name="embed")
    return {"ledger": picks.ledger, "columns": flow(ledger.added_columns, rows, name="added")}


def find_graders(
    what: Sequence[str], specs: Sequence[Spec], questions: Sequence[str]
) -> tuple[dict[str, Spec], dict[str, str | None]]:
    """The grader of each score, and the question of each scorer; None if the scorer's folder has it."""
    graders = dict(zip(what, _one_each(what, specs, "models"), strict=True))
    named = dict(zip(what, _one_each(what, questions, "questions"), strict=True)) if questions else {}
    trained = {name: named.get(name) for name, spec in graders.items() if name in named or _is_scorer(spec)}
    for name in graders:
        if name not in trained and name not in RUBRICS:
            raise RecipeError(
                f"there is no rubric {name!r} for a judge ({did_you_mean(name, RUBRICS)}), and {graders[name].model} is not "
                "marked as a scorer: if it is one, give the question it was trained on with --question"
            )
    return graders, trained


def _one_each(what: Sequence[str], items: Sequence[Any], kind: str) -> list[Any]:
    """Expand one item for all to one for each; raise if the numbers do not match."""
    if len(items) not in (1, len(what)):
        raise RecipeError(f"{len(items)} {kind} for {len(what)} scores ({', '.join(what)}): give one for all, or one for each")
    return [*items] * (len(what) // len(items))


def _is_scorer(spec: Spec) -> bool:
    folder = where_model(spec.model) if kind_of(spec).trainable_as else None
    return folder is not None and scorer_prompts.read_question(folder) is not None
