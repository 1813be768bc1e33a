"""One of the processes that a training is shared out over: `accelerate launch -m attar.stages.train.worker JOB.json`.

It runs the very training that a single process would; the first one leaves the curve. What a user can mend is left as a file,
to be told as it would have been in a single process.
"""

import json
import os
import sys
from pathlib import Path

import polars as pl

from attar.core.atomic import replace_file
from attar.core.errors import AttarError, EngineError
from attar.stages.train import preference, sft
from attar.stages.train.distributed import read_job
from attar.stages.train.trainer import fit


def main(file: Path) -> None:
    """Train as one of many."""
    job, rank = read_job(file), int(os.environ.get("RANK", "0"))
    build = sft.trainer if job.method == "sft" else preference.trainer
    place = file.parent
    try:
        rows = pl.read_parquet(place / "rows.parquet")
        processes, wanted = int(os.environ.get("WORLD_SIZE", "1")), json.loads(file.read_text())["processes"]
        if processes != wanted:
            raise EngineError(f"{job.engine.model}: {wanted} processes were asked for and accelerate started {processes}")
        curve = fit(job, rows, build, int(os.environ.get("LOCAL_RANK", "0")), processes)
    except AttarError as error:
        with replace_file(place / "error.json") as partial:
            partial.write_text(json.dumps({"kind": type(error).__name__, "text": str(error)}))
        raise SystemExit(1) from error
    if rank == 0:
        curve.write_parquet(place / "curve.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
