"""WildBench: scores from 1 to 10 guided by a checklist, and rewards against baselines with a length margin.

A score is reported as (mean - 5) x 2, a tenth of the leaderboard's. A reward is 100 for much better, 50 for slightly better, 0
for a tie. A slight win by an answer that is longer by more than `margin` characters counts as a tie. `by_task` weights the five
task groups as the leaderboard does; a group without rows is left out (the leaderboard counts it as zero, a bias).
"""

import polars as pl

from attar.core.stage import role
from attar.core.table import Table, need
from attar.stages.evaluate.figures.means import Draws, Mix, Part, figures_of

_GROUPS = {
    "Creative Tasks": ("Creative Writing", "Editing", "Brainstorming", "Role playing", "Others"),
    "Planning & Reasoning": ("Reasoning", "Planning"),
    "Math & Data Analysis": ("Math", "Data Analysis"),
    "Information/Advice seeking": ("Information seeking", "Advice seeking"),
    "Coding & Debugging": ("Coding & Debugging",),
}
WEIGHTS = {
    "Creative Tasks": 0.5,
    "Planning & Reasoning": 1.25,
    "Math & Data Analysis": 1.0,
    "Information/Advice seeking": 0.75,
    "Coding & Debugging": 1.25,
}
"""The weight of each task group in the leaderboard's mean."""
_SLIGHT = 0.25


@role("exam")
def scores(table: Table, *, score: str = "score", bootstrap: int = 1000, seed: int = 0) -> Table:
    """question, {score}, tags -> id, (model,) category, figure (score, by_task), value, low, high, count, and who judged."""
    need(table, score)
    out = table.with_columns(((pl.col(score) - 5) * 2).alias("_score"))
    return figures_of(out, _parts(out, "score"), Draws("_score", count=bootstrap, seed=seed), _mixes(out, "score"))


@role("exam")
def rewards(battles: Table, *, margin: int | None = 500, bootstrap: int = 1000, seed: int = 0) -> Table:
    """battles judged in five grades -> id, (model,) opponent, category, figure (reward, by_task), value, low, high, count.

    Each baseline has its own lines; with several, `mix` covers all of them. Without a `margin` length does not count.
    """
    need(battles, "question", "response", "against", "preference", "preference_first", "preference_second")
    out = battles.with_columns(_reward=_reward(margin))
    draws = Draws("_reward", count=bootstrap, seed=seed)
    against = sorted(out["opponent"].drop_nulls().unique()) if "opponent" in out.columns else []
    sides: list[tuple[str | None, Table]] = [(name, out.filter(pl.col("opponent") == name)) for name in against]
    if len(sides) != 1:
        sides.append(("mix" if sides else None, out))
    tables = [
        figures_of(side, _parts(side, "reward"), draws, _mixes(side, "reward")).with_columns(
            pl.lit(name, dtype=pl.String).alias("opponent")
        )
        for name, side in sides
    ]
    figures = pl.concat(tables)
    names = pl.concat_str(pl.col("opponent"), pl.col("id"), separator="/", ignore_nulls=True)
    first = ["id", *(["model"] if "model" in figures.columns else []), "opponent"]
    return figures.with_columns(id=names).select(*first, pl.exclude(first))


def _reward(margin: int | None) -> pl.Expr:
    """From -100 to 100: the mean over the orders judged, where a slight win by length counts as a tie."""
    orders = [_margin_edge(f"preference_{side}", margin) for side in ("first", "second")]
    return pl.when(pl.col("preference").is_not_null()).then(200 * pl.mean_horizontal(*orders))


def _margin_edge(column: str, margin: int | None) -> pl.Expr:
    edge = pl.col(column) - 0.5
    if margin is None:
        return edge
    longer = pl.col("response").str.len_chars().cast(pl.Int64) - pl.col("against").str.len_chars().cast(pl.Int64)
    slight, most = edge.abs() == _SLIGHT, pl.lit(margin)
    return pl.when(slight & (longer * edge.sign() > most)).then(0.0).otherwise(edge)


def _groups(table: Table) -> pl.Expr:
    """The task groups of a row: by all its tags, else by its category."""
    known = {tag: group for group, tags in _GROUPS.items() for tag in tags}
    if "tags" in table.columns:
        return pl.col("tags").list.eval(pl.element().replace_strict(known, default=None)).list.drop_nulls()
    return pl.concat_list(pl.col("category").replace_strict(known, default=None))


def _parts(table: Table, figure: str) -> list[Part]:
    if not {"tags", "category"} & set(table.columns):
        return [Part(figure, None, pl.lit(True))]
    groups = _groups(table)
    return [Part(figure, None, pl.lit(True)), *(Part(figure, name, groups.list.contains(name)) for name in WEIGHTS)]


def _mixes(table: Table, figure: str) -> list[Mix]:
    return [Mix("by_task", None, figure, WEIGHTS)] if {"tags", "category"} & set(table.columns) else []
