"""Convert chat data from any known format to another, by streaming. The source is only read."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from attar.core.errors import DataError
from attar.core.output_lock import lock_output
from attar.data.readers import BadRow, excerpt, load
from attar.data.rejected import collect_rejected
from attar.data.sources import check_apart
from attar.data.writers import STDOUT, open_sink


def convert(source: str | Path, target: Path, to: str, form: str | None = None, layout: str | None = None) -> dict[str, Any]:
    """Convert; rows that could not be converted go to TARGET.rejected.jsonl, with file, line and reason.

    A target `-` is standard output; its rejected rows go to stdout.rejected.jsonl in the working directory.
    """
    batches = load(source, form=form)  # raises if there is none
    file = Path("stdout") if target == STDOUT else target
    if target != STDOUT:
        check_apart(target, source)
    opened = open_sink(target, to, layout)
    reasons: Counter[str] = Counter()
    with lock_output(file), opened as sink, collect_rejected(file) as rejected:
        for batch in batches:
            refused = [
                BadRow(*place, f"cannot be written as {to}: {reason}", excerpt(batch.table["messages"][number].to_list()))
                for number, (place, reason) in enumerate(zip(batch.places, sink.write(batch.table), strict=True))
                if reason
            ]
            for row in [*batch.bad, *refused]:
                reasons[row.reason] += 1
                rejected.write(asdict(row))
    if not sink.count:
        raise DataError(
            f"{source}: no row could be converted; the first reason of {len(reasons)}: {next(iter(reasons), 'it is empty')}"
        )
    return {
        "target": str(target),
        "rows": sink.count,
        "rejected": sum(reasons.values()),
        "reasons": dict(reasons.most_common(10)),
        "aside": str(rejected.path) if rejected.path else None,
    }
