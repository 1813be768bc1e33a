"""The scores of one run, or of several runs of one recipe, arm by arm: how accurate, how sure, and how far the first arm leads.

One run has its exam's intervals (Wilson; leads by a bootstrap over tasks). Several have Student's t over runs, and must have
the same arms: a mean over the runs that happen to have an arm would stand beside means over others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from attar.core.errors import DataError
from attar.core.table import Table
from attar.statistics.intervals import mean_over_runs

Run = Mapping[str, Any]
"""A run's record."""


@dataclass(frozen=True, slots=True)
class ScoreEstimate:
    """A figure with its 95% interval, and what it is in each run."""

    value: float
    low: float
    high: float
    runs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Arm:
    """What an arm came to; `lead` is how far the first arm leads it, `levels` its accuracy at each level."""

    name: str
    accuracy: ScoreEstimate
    lead: ScoreEstimate
    levels: Mapping[str, float]


def arms(tables: Sequence[Table]) -> list[Arm]:
    """arm, level, accuracy, low, high, lead, lead_low, lead_high of each run -> its arms, in the first run's order."""
    if not tables:
        return []
    wholes = [{row["arm"]: row for row in table.filter(pl.col("level") == "all").to_dicts()} for table in tables]
    levels = [level for level in tables[0]["level"].unique(maintain_order=True) if level != "all"]
    levels = [level for level in levels if all(level in table["level"] for table in tables)]
    means = pl.concat(table.select("arm", "level", "accuracy") for table in tables).group_by("arm", "level").mean()
    by_level = {(arm, level): accuracy for arm, level, accuracy in means.iter_rows()}
    first, out = next(iter(wholes[0])), []
    for name in wholes[0]:
        own = wholes[0][name]
        accuracy = _estimate([whole[name]["accuracy"] for whole in wholes], (own["low"], own["high"]))
        leads = [whole[first]["accuracy"] - whole[name]["accuracy"] for whole in wholes]
        lead = _estimate(leads, (own["lead_low"], own["lead_high"]))
        out.append(Arm(name, accuracy, lead, {level: by_level[name, level] for level in levels}))
    return out


def checked(runs: Sequence[Run], tables: Sequence[Table | None]) -> list[Table]:
    """The scores of runs that can stand side by side; of one run alone its scores, if it has any."""
    if len(runs) == 1:
        return [table for table in tables if table is not None]
    seen: dict[str, str] = {}
    for run, table in zip(runs, tables, strict=True):
        if run["recipe"] != runs[0]["recipe"]:
            raise DataError(_mismatch(run, f"is of the recipe {run['recipe']!r}", runs[0], f"of {runs[0]['recipe']!r}"))
        if "scores" not in run["results"]:
            raise DataError(f"run {run['name']!r} has no scores, for its recipe measured nothing: leave it out")
        if table is None:
            raise DataError(f"run {run['name']!r} has no scores yet: finish it (attar resume {run['name']}), or leave it out")
        if other := seen.get(run["results"]["scores"]):
            raise DataError(f"runs {other!r} and {run['name']!r} have the very same scores: give each a seed of its own")
        seen[run["results"]["scores"]] = run["name"]
    found = [table for table in tables if table is not None]
    for run, table in zip(runs[1:], found[1:], strict=True):
        mine, first = (set(each["arm"]) for each in (table, found[0]))
        if lacking := sorted(first - mine):
            raise DataError(_mismatch(run, f"has no arm {lacking[0]!r}", runs[0], "has one"))
        if more := sorted(mine - first):
            raise DataError(_mismatch(run, f"has an arm {more[0]!r}", runs[0], "has none"))
    return found


def differences(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The knobs and engines that are not the same in all runs, with what they are in each; None where it was not said."""
    flat = [_flat(run["knobs"]) | _flat(run["engines"]) for run in runs]
    said = {key: [run.get(key) for run in flat] for key in dict.fromkeys(key for run in flat for key in run)}
    return {key: values for key, values in said.items() if any(value != values[0] for value in values)}


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Mappings within mappings as one, their keys joined by dots."""
    out = {}
    for key, value in values.items():
        out |= _flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return out


def _mismatch(run: Run, what: str, first: Run, instead: str) -> str:
    return (
        f"run {run['name']!r} {what}, and {first['name']!r} {instead}: only runs of one recipe with the same arms are compared"
    )


def _estimate(runs: Sequence[float], own: tuple[float, float]) -> ScoreEstimate:
    """A figure over runs; of one run with its own interval."""
    return ScoreEstimate(*(mean_over_runs(runs) if len(runs) > 1 else (runs[0], *own)), tuple(runs))
