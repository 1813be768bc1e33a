"""The rows that an output lacks, with their reasons: `OUT.rejected.jsonl` beside it.

A file of that name that is there already is never changed: the rows go to `OUT.rejected-2.jsonl`, and so on. A file with
exactly these rows is used as it is, so the same command repeated makes no second one.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from attar.core.atomic import keep_beside, real_path, write_beside


class Rejected:
    """Collects rejected rows; `path` is their file once it is complete, None if there are no rows."""

    def __init__(self, stream: TextIO) -> None:
        self.count = 0
        self.path: Path | None = None
        self._stream = stream

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row with its reason."""
        self.count += 1
        self._stream.write(json.dumps(row, ensure_ascii=False) + "\n")


@contextmanager
def collect_rejected(out: Path) -> Iterator[Rejected]:
    """Collect the rejected rows of an output; their file appears, complete, when the block ends without an error."""
    out = real_path(out) if out.is_symlink() else out
    with write_beside(out) as partial:
        with partial.open("x", encoding="utf-8") as stream:
            rejected = Rejected(stream)
            yield rejected
        if rejected.count:
            rejected.path = keep_beside(partial, _names(out))


def _names(out: Path) -> Iterator[Path]:
    yield out.with_name(f"{out.name}.rejected.jsonl")
    for number in range(2, 10_000):
        yield out.with_name(f"{out.name}.rejected-{number}.jsonl")
