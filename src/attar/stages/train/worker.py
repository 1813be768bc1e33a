"""One process of a distributed training: `accelerate launch -m attar.stages.train.worker JOB.json`.

It runs the same code as a training in a single process; rank 0 writes the training curve. An error that the user can fix is
written to a file, and the parent process raises it.
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
    """Run this process's part of the training."""
    job, rank = read_job(file), int(os.environ.get("RANK", "0"))
    build = sft.build_trainer if job.method == "sft" else preference.build_trainer
    folder = file.parent
    try:
        rows = pl.read_parquet(folder / "rows.parquet")
        processes, wanted = int(os.environ.get("WORLD_SIZE", "1")), json.loads(file.read_text())["processes"]
        if processes != wanted:
            raise EngineError(f"{job.engine.model}: {wanted} processes were requested and accelerate started {processes}")
        curve = fit(job, rows, build, int(os.environ.get("LOCAL_RANK", "0")), processes)
    except AttarError as error:
        with replace_file(folder / "error.json") as partial:
            partial.write_text(json.dumps({"kind": type(error).__name__, "text": str(error)}))
        raise SystemExit(1) from error
    if rank == 0:
        curve.write_parquet(folder / "curve.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
