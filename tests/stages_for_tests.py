"""A run file and small stages that the flow's tests wire together."""

import time
from importlib import import_module
from pathlib import Path

import polars as pl

from attar.core.stage import folds, marks, reads, rowwise, trains
from attar.core.table import put, verdicts
from attar.engines.base import Request, in_order
from attar.runtime.flow import recipe
from attar.runtime.progress import Quiet

FAKE = """
recipe: magpie
engines:
  teacher: {kind: fake, model: teacher}
  rewarder: {kind: fake, model: rewarder}
knobs: {count: 60, size: 10, rule: reward > -12}
"""


class Recorder(Quiet):
    """Keeps what a run reports: each step's card, whether it was made now, and all messages."""

    def __init__(self):
        self.cards = {}
        self.fresh = {}
        self.said = []

    def end(self, step, card, fresh):
        self.cards[step.name] = card
        self.fresh[step.name] = fresh

    def say(self, text):
        self.said.append(text)


def numbers(*, count, wide=False):
    table = pl.DataFrame({"id": [f"n{i:05d}" for i in range(count)], "n": list(range(count))})
    return table.with_columns(pl.lit("x" * 1000).alias("ballast")) if wide else table


@rowwise
def double(table, *, factor=2):
    return table.with_columns((pl.col("n") * factor).alias("twice"))


@rowwise
def say(table, *, engine):
    requests = (Request(i, text=f"say {n}") for i, n in enumerate(table["n"]))
    replies = in_order(engine.generate(requests), len(table))
    return put(table, "said", [reply.text for reply in replies], [reply.error for reply in replies], dtype=pl.String)


@rowwise
def slow(table, *, seconds=0.02):
    time.sleep(seconds * len(table))
    return table


@reads("n")
def total(table):
    assert table.columns == ["id", "n"]
    return pl.DataFrame({"id": ["total"], "sum": [table["n"].sum()]})


@folds
@reads("n")
def most(*numbers):
    """The largest number of each table, and the sizes and columns of its parts as they came."""
    rows = [list(parts) for parts in numbers]
    return pl.DataFrame(
        {
            "id": [f"table-{i}" for i in range(len(rows))],
            "most": [max(part["n"].max() for part in parts) for parts in rows],
            "parts": [[len(part) for part in parts] for parts in rows],
            "columns": [parts[0].columns for parts in rows],
        }
    )


def even(table):
    return verdicts(table["id"].to_list(), [n % 2 == 0 for n in table["n"]], ["odd"] * len(table), [None] * len(table))


@reads("absent")
def needs_absent(table):
    return table


def nothing(table):
    return None


@rowwise
def smaller(table, *, than=1000):
    return table.filter(pl.col("n") < than)


@trains
def learn(table, *, engine, into: Path, mark="m"):
    into.mkdir(parents=True)
    (into / "config.json").write_text(f'{{"mark": "{mark}", "base": "{engine.model}", "rows": {len(table)}}}')
    return pl.DataFrame({"id": ["step-1"], "loss": [0.5]})


@recipe()
def doubled(flow, *, count=100, factor=2):
    return {"out": flow(double, flow(numbers, count=count), factor=factor)}


@recipe()
def spoken(flow, *, engine, count=100):
    return {"out": flow(say, flow(numbers, count=count), engine=engine)}


def marks_of(title):
    """The marks of the built-in stage of this full name, as a run's record has them; a made-up name has none."""
    module, _, name = title.rpartition(".")
    if title.startswith("x."):
        return {"role": None, "trains": None}
    return marks(getattr(import_module(f"attar.stages.{module}"), name)).plain()
