"""Scores by arm, of one run or of several runs of one recipe: accuracy, its interval, and the first arm's lead.

One run has the intervals of its exam (Wilson for accuracy, a bootstrap over tasks for leads). Several runs have Student's t
intervals over runs. They must have the same arms, so that all means are over the same runs.
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
    """A value with its 95% interval, and the value in each run."""

    value: float
    low: float
    high: float
    runs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm's accuracy; `lead` is how far the first arm leads it, `levels` its accuracy at each level."""

    name: str
    accuracy: ScoreEstimate
    lead: ScoreEstimate
    levels: Mapping[str, float]


def arms(tables: Sequence[Table]) -> list[Arm]:
    """arm, level, accuracy, low, high, lead, lead_low, lead_high of each run -> the arms, in the first run's order."""
    if not tables:
        return []
    overall = [{row["arm"]: row for row in table.filter(pl.col("level") == "all").to_dicts()} for table in tables]
    levels = [level for level in tables[0]["level"].unique(maintain_order=True) if level != "all"]
    levels = [level for level in levels if all(level in table["level"] for table in tables)]
    means = pl.concat(table.select("arm", "level", "accuracy") for table in tables).group_by("arm", "level").mean()
    by_level = {(arm, level): accuracy for arm, level, accuracy in means.iter_rows()}
    first, out = next(iter(overall[0])), []
    for name in overall[0]:
        row = overall[0][name]
        accuracy = _estimate([rows[name]["accuracy"] for rows in overall], (row["low"], row["high"]))
        leads = [rows[first]["accuracy"] - rows[name]["accuracy"] for rows in overall]
        lead = _estimate(leads, (row["lead_low"], row["lead_high"]))
        out.append(Arm(name, accuracy, lead, {level: by_level[name, level] for level in levels}))
    return out


def comparable_scores(runs: Sequence[Run], tables: Sequence[Table | None]) -> list[Table]:
    """The scores of runs that can be compared, or an error; for one run its scores, if it has any."""
    if len(runs) == 1:
        return [table for table in tables if table is not None]
    seen: dict[str, str] = {}
    for run, table in zip(runs, tables, strict=True):
        if run["recipe"] != runs[0]["recipe"]:
            raise DataError(_mismatch(run, f"has the recipe {run['recipe']!r}", runs[0], f"has {runs[0]['recipe']!r}"))
        if "scores" not in run["results"]:
            raise DataError(f"run {run['name']!r} has no scores, because its recipe evaluates nothing: leave it out")
        if table is None:
            raise DataError(f"run {run['name']!r} has no scores yet: finish it (attar resume {run['name']}), or leave it out")
        if other := seen.get(run["results"]["scores"]):
            raise DataError(f"runs {other!r} and {run['name']!r} have identical scores: give each run its own seed")
        seen[run["results"]["scores"]] = run["name"]
    scores = [table for table in tables if table is not None]
    first_arms = set(scores[0]["arm"])
    for run, table in zip(runs[1:], scores[1:], strict=True):
        arm_names = set(table["arm"])
        if missing := sorted(first_arms - arm_names):
            raise DataError(_mismatch(run, f"has no arm {missing[0]!r}", runs[0], "has one"))
        if extra := sorted(arm_names - first_arms):
            raise DataError(_mismatch(run, f"has an arm {extra[0]!r}", runs[0], "has none"))
    return scores


def differences(runs: Sequence[Run]) -> dict[str, list[Any]]:
    """The knobs and engines that differ between runs, with the value in each; None where a run does not set it."""
    flat = [_flat(run["knobs"]) | _flat(run["engines"]) for run in runs]
    settings = {key: [run.get(key) for run in flat] for key in dict.fromkeys(key for run in flat for key in run)}
    return {key: values for key, values in settings.items() if any(value != values[0] for value in values)}


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested mappings as one flat mapping, keys joined by dots."""
    out = {}
    for key, value in values.items():
        out |= _flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return out


def _mismatch(run: Run, finding: str, first: Run, first_finding: str) -> str:
    return (
        f"run {run['name']!r} {finding}, but {first['name']!r} {first_finding}: "
        "only runs of one recipe with the same arms can be compared"
    )


def _estimate(runs: Sequence[float], interval: tuple[float, float]) -> ScoreEstimate:
    """The mean over runs with a Student's t interval; for one run, its value with the given interval."""
    return ScoreEstimate(*(mean_over_runs(runs) if len(runs) > 1 else (runs[0], *interval)), tuple(runs))
