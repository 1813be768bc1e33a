"""Where a training runs: in this process, or shared out over devices by `accelerate launch`, on one and the same code.

    base: {kind: local, model: Qwen/Qwen3-8B, gpus: 8, accelerate: fsdp.yaml}

`gpus` is the number of processes, one a device; `accelerate` names a configuration of accelerate's own (FSDP, DeepSpeed).
"""

import json
import shutil
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl

from attar.core.errors import EngineError, as_raised
from attar.core.table import Table
from attar.engines.base import Spec
from attar.engines.http.managed_server import WARDEN
from attar.engines.local.engine import Local
from attar.stages.train import checkpoints
from attar.stages.train.load_model import base_of
from attar.stages.train.trainer import Build, Job, Settings, fit


def train(job: Job, rows: Table, build: Build) -> Table:
    """Run a training to its end, from its last checkpoint if it was stopped; the curve. Its checkpoints are then removed."""
    processes, config = _shared_out(job.engine)
    base: Local = base_of(job.engine)
    key = checkpoints.key_of(rows, job.method, base.identity(), asdict(job.settings), dict(job.own), processes)
    checkpoints.prepare(job.workplace, key)
    curve = fit(job, rows, build) if processes == 1 and config is None else _launched(job, rows, processes, config)
    shutil.rmtree(job.workplace)
    return curve


def _shared_out(engine: Spec) -> tuple[int, Path | None]:
    gpus, config = engine.options.get("gpus", 1), engine.options.get("accelerate")
    if isinstance(gpus, bool) or not isinstance(gpus, int) or gpus < 1:
        raise EngineError(f"{engine.kind} engine {engine.model}: option 'gpus' is {gpus!r}, not a number above nought")
    if config is not None and not Path(config).expanduser().is_file():
        raise EngineError(f"{engine.kind} engine {engine.model}: option 'accelerate' names {config}, which is no file")
    return gpus, Path(config).expanduser().resolve() if config else None


def _launched(job: Job, rows: Table, processes: int, config: Path | None) -> Table:
    """Hand the job to the processes as files, wait for them, read what they left."""
    place = job.workplace
    for left in ("curve.parquet", "error.json"):
        (place / left).unlink(missing_ok=True)
    rows.write_parquet(place / "rows.parquet")
    (place / "job.json").write_text(json.dumps(_plain(job) | {"processes": processes}))
    command = [*_accelerate(processes, config), "-m", "attar.stages.train.worker", str(place / "job.json")]
    with (place / "log.txt").open("w") as log:
        child = subprocess.Popen([sys.executable, str(WARDEN), *command], stdin=subprocess.PIPE, stdout=log, stderr=log)
        with child:  # closing its input, as our end does too, ends the processes
            code = child.wait()
    if (place / "error.json").exists():
        said = json.loads((place / "error.json").read_text())
        raise as_raised(said["kind"], said["text"])
    if code or not (place / "curve.parquet").exists():
        lines = [line.strip() for line in (place / "log.txt").read_text(errors="replace").splitlines() if line.strip()]
        raise EngineError(
            f"training {job.engine.model} in {processes} processes failed (code {code}); it said last: {' | '.join(lines[-8:])}"
        )
    return pl.read_parquet(place / "curve.parquet")


def _accelerate(processes: int, config: Path | None) -> list[str]:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(processes)]
    command += ["--num_machines", "1", "--main_process_port", str(_free_port())]
    if config:
        return [*command, "--config_file", str(config)]
    many = ["--multi_gpu"] if processes > 1 else []  # of processors too: accelerate's own way to many of those needs MPI
    return [*command, "--mixed_precision", "no", "--dynamo_backend", "no", *many]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _plain(job: Job) -> dict[str, Any]:
    return asdict(job) | {"into": str(job.into.resolve())}


def read_job(file: Path) -> Job:
    """A job as `_launched` wrote it."""
    said = json.loads(file.read_text())
    return Job(said["method"], Spec(**said["engine"]), Path(said["into"]), Settings(**said["settings"]), said["own"])
