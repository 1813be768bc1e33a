"""Convert chat data from any known format to another, by streaming."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from attar.core.errors import DataError
from attar.data.readers import BadRow, data_files, excerpt, load
from attar.data.writers import open_sink


def convert(source: Path, target: Path, to: str, form: str | None = None, layout: str | None = None) -> dict[str, Any]:
    """Convert; rows that could not be converted go to TARGET.rejected.jsonl, with file, line and reason."""
    for file in data_files(source):
        if file.resolve() == target.resolve() or target.resolve() in file.resolve().parents:
            raise DataError(f"{target} is (or contains) the source: choose another target")
    if source.is_dir() and source.resolve() in target.resolve().parents:
        raise DataError(f"{target} is inside the source {source}: choose a target outside it")
    aside = target.with_name(target.name + ".rejected.jsonl")
    sink = open_sink(target, to, layout)
    reasons: Counter[str] = Counter()
    with aside.open("w", encoding="utf-8") as rejects:
        for batch in load(source, form=form):
            refused = [
                BadRow(*place, f"cannot be written as {to}: {reason}", excerpt(row))
                for place, reason, row in zip(
                    batch.places, sink.write(batch.table), batch.table["messages"].to_list(), strict=True
                )
                if reason
            ]
            for row in [*batch.bad, *refused]:
                reasons[row.reason] += 1
                rejects.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
    sink.close()
    if not sink.count:
        raise DataError(
            f"{source}: no row could be converted; the first reason of {len(reasons)}: {next(iter(reasons), 'it is empty')}"
        )
    if not reasons:
        aside.unlink()
    return {
        "target": str(target),
        "rows": sink.count,
        "rejected": sum(reasons.values()),
        "reasons": dict(reasons.most_common(10)),
        "aside": str(aside) if reasons else None,
    }
