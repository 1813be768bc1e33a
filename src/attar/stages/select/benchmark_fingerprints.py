"""What data must be apart from, as fingerprints: a row for each item of a benchmark, hashes of its words and not their text.

    benchmark, item     whose item it is, and its number there
    runs                hashes of every 13 words in a row; of all its words, where there are fewer
    triples             the low 32 bits of the hashes of every 3 words in a row

Those of the common benchmarks are shipped; of a file, a folder or a dataset on the Hub they are made when they are needed.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from attar.core.errors import DataError, did_you_mean
from attar.core.table import Table
from attar.data import sources
from attar.data.formats import parse_row
from attar.data.readers import raw_rows
from attar.similarity.shingles import shingles

RUN, SHORT = 13, 3
LOW = (1 << 32) - 1
BENCHMARKS = {"alpaca_eval": 805, "arena_hard": 500, "mt_bench": 160}
"""The items of those that are shipped; of MT-Bench both turns."""
_SHIPPED = Path(__file__).parent / "benchmarks"
Items = Iterator[tuple[str, str]]


def load_benchmark(source: str) -> Table:
    """The fingerprints of a benchmark by its name, or of what a file, a folder or a dataset on the Hub asks."""
    path = Path(source)
    if source in BENCHMARKS:
        return _add_name(source, pl.read_parquet(_SHIPPED / f"{source}.parquet"))
    if path.exists():
        name, found = path.name, _read_lines(path) if path.suffix.lower() == ".txt" else _user_turns(_read_rows(path))
    elif sources.is_hub_dataset(source) and not source.startswith((".", "~")):
        name, found = source, _user_turns(_read_hub(source))
    else:
        raise DataError(f"{source!r} is no benchmark and no file here; {did_you_mean(source, BENCHMARKS)}")
    items = list(found)
    if not items:
        raise DataError(f"{source} asks nothing: there is no prompt in it")
    return _add_name(name, fingerprints([item for item, _ in items], [text for _, text in items]))


def content_of(source: str) -> str | None:
    """The fingerprint of what a file or a folder holds; None of anything else."""
    return None if source in BENCHMARKS or not Path(source).exists() else sources.content_of(Path(source))


def fingerprints(items: Sequence[str], texts: Sequence[str]) -> Table:
    """item, runs, triples of texts; those without a word are left out, as every other such text would be like them."""
    spoken = pl.DataFrame({"item": items, "text": texts}, schema={"item": pl.String, "text": pl.String})
    spoken = spoken.filter(pl.col("text").str.contains(r"\w"))
    runs, triples = shingles(spoken["text"], size=RUN), shingles(spoken["text"], size=SHORT)
    return pl.DataFrame(
        {
            "item": spoken["item"],
            "runs": [part.tolist() for part in np.split(runs.values, runs.starts[1:-1])],
            "triples": [part.tolist() for part in np.split(triples.values & LOW, triples.starts[1:-1])],
        },
        schema={"item": pl.String, "runs": pl.List(pl.UInt64), "triples": pl.List(pl.UInt32)},
    )


def _add_name(name: str, prints: Table) -> Table:
    return prints.select(pl.lit(name).alias("benchmark"), "item", "runs", "triples")


def _read_lines(path: Path) -> Items:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            yield from ((str(number), line) for number, line in enumerate(stream, 1) if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} could not be read as UTF-8 text: {error}") from error


def _user_turns(found: Iterator[tuple[str, str, Any]]) -> Items:
    """Every user turn, by the row's number and, behind the first, the turn's."""
    for number, where, value in found:
        try:
            if isinstance(value, ValueError):
                raise value
            turns = [turn["content"] for turn in parse_row(value)["messages"] if turn["role"] == "user"]
        except ValueError as error:
            raise DataError(f"{where}: {error}; mend it, or give the benchmark as text, one prompt a line") from error
        yield from ((number if i == 1 else f"{number} turn {i}", text) for i, text in enumerate(turns, 1))


def _read_rows(path: Path) -> Iterator[tuple[str, str, Any]]:
    for number, found in enumerate(raw_rows(path), 1):
        yield str(number), f"{found.file}, row {found.line}", found.value


def _read_hub(name: str) -> Iterator[tuple[str, str, Any]]:
    """The rows of all splits of a dataset on the Hub."""
    number = 0
    with sources.dataset_loader(name) as load:
        for split, stream in load().items():
            for row in stream:
                number += 1
                yield str(number), f"{name}, row {number} ({split})", row
