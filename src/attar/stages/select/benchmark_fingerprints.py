"""Fingerprints of benchmarks, for decontamination: a row for each item, with hashes of its words and not their text.

    benchmark, item     the benchmark's name, and the item's number in it
    runs                hashes of every 13 words in a row; of all its words, if there are fewer
    triples             the low 32 bits of the hashes of every 3 words in a row

Those of the common benchmarks are shipped; those of a file, a folder or a dataset on the Hub are computed when needed.
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
"""The shipped benchmarks and their numbers of items; MT-Bench counts both turns."""
_SHIPPED = Path(__file__).parent / "benchmarks"
Items = Iterator[tuple[str, str]]


def load_benchmark(source: str) -> Table:
    """The fingerprints of a benchmark by its name, or of the prompts in a file, a folder or a dataset on the Hub."""
    path = Path(source)
    if source in BENCHMARKS:
        return _add_name(source, pl.read_parquet(_SHIPPED / f"{source}.parquet"))
    if path.exists():
        name, prompts = path.name, _read_lines(path) if path.suffix.lower() == ".txt" else _user_turns(_read_rows(path))
    elif sources.is_hub_dataset(source) and not source.startswith((".", "~")):
        name, prompts = source, _user_turns(_read_hub(source))
    else:
        raise DataError(f"{source!r} is neither a benchmark nor a file; {did_you_mean(source, BENCHMARKS)}")
    items = list(prompts)
    if not items:
        raise DataError(f"benchmark {source} contains no prompts")
    return _add_name(name, fingerprints([item for item, _ in items], [text for _, text in items]))


def content_of(source: str) -> str | None:
    """A fingerprint of the contents of a file or a folder; None for any other source."""
    return None if source in BENCHMARKS or not Path(source).exists() else sources.content_of(Path(source))


def fingerprints(items: Sequence[str], texts: Sequence[str]) -> Table:
    """item, runs, triples of texts; a text without any word is left out, because it would match every other such text."""
    with_words = pl.DataFrame({"item": items, "text": texts}, schema={"item": pl.String, "text": pl.String})
    with_words = with_words.filter(pl.col("text").str.contains(r"\w"))
    runs, triples = shingles(with_words["text"], size=RUN), shingles(with_words["text"], size=SHORT)
    return pl.DataFrame(
        {
            "item": with_words["item"],
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


def _user_turns(rows: Iterator[tuple[str, str, Any]]) -> Items:
    """Every user turn, named by its row's number and, after the first, the turn's number."""
    for number, where, value in rows:
        try:
            if isinstance(value, ValueError):
                raise value
            turns = [turn["content"] for turn in parse_row(value)["messages"] if turn["role"] == "user"]
        except ValueError as error:
            raise DataError(f"{where}: {error}; fix it, or give the benchmark as text, one prompt per line") from error
        yield from ((number if i == 1 else f"{number} turn {i}", text) for i, text in enumerate(turns, 1))


def _read_rows(path: Path) -> Iterator[tuple[str, str, Any]]:
    for number, row in enumerate(raw_rows(path), 1):
        yield str(number), f"{row.file}, row {row.line}", row.value


def _read_hub(name: str) -> Iterator[tuple[str, str, Any]]:
    """The rows of all splits of a dataset on the Hub."""
    number = 0
    with sources.dataset_loader(name) as load:
        for split, stream in load().items():
            for row in stream:
                number += 1
                yield str(number), f"{name}, row {number} ({split})", row
