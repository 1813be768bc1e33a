"""Run a training in this process, or distributed over devices by `accelerate launch`, with the same code.

    base: {kind: local, model: Qwen/Qwen3-8B, gpus: 8, accelerate: fsdp.yaml}

`gpus` is the number of processes, one per device; `accelerate` names an accelerate configuration file (FSDP, DeepSpeed).
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

from attar.core.errors import EngineError, rebuild_error
from attar.core.table import Table
from attar.engines.base import Spec
from attar.engines.http.managed_server import WATCHDOG
from attar.engines.local.engine import Local
from attar.stages.train import checkpoints
from attar.stages.train.load_model import base_of
from attar.stages.train.trainer import TrainerBuilder, TrainingJob, TrainingSettings, fit


def train(job: TrainingJob, rows: Table, build: TrainerBuilder) -> Table:
    """Run a training, resuming from its last checkpoint, remove its checkpoints and return the training curve."""
    processes, config = _parallelism(job.engine)
    base: Local = base_of(job.engine)
    key = checkpoints.key_of(rows, job.method, base.identity(), asdict(job.settings), dict(job.method_knobs), processes)
    checkpoints.prepare(job.work_folder, key)
    curve = fit(job, rows, build) if processes == 1 and config is None else _launch(job, rows, processes, config)
    shutil.rmtree(job.work_folder)
    return curve


def _parallelism(engine: Spec) -> tuple[int, Path | None]:
    gpus, config = engine.options.get("gpus", 1), engine.options.get("accelerate")
    if isinstance(gpus, bool) or not isinstance(gpus, int) or gpus < 1:
        raise EngineError(f"{engine.kind} engine {engine.model}: option 'gpus' must be an integer >= 1, got {gpus!r}")
    if config is not None and not Path(config).expanduser().is_file():
        raise EngineError(f"{engine.kind} engine {engine.model}: option 'accelerate' is {config!r}, and there is no such file")
    return gpus, Path(config).expanduser().resolve() if config else None


def _launch(job: TrainingJob, rows: Table, processes: int, config: Path | None) -> Table:
    """Write the job to files, run the processes, read the files that they write."""
    folder = job.work_folder
    for stale in ("curve.parquet", "error.json"):
        (folder / stale).unlink(missing_ok=True)
    rows.write_parquet(folder / "rows.parquet")
    (folder / "job.json").write_text(json.dumps(_job_as_json(job) | {"processes": processes}))
    command = [*_launch_command(processes, config), "-m", "attar.stages.train.worker", str(folder / "job.json")]
    with (folder / "log.txt").open("w") as log:
        child = subprocess.Popen([sys.executable, str(WATCHDOG), *command], stdin=subprocess.PIPE, stdout=log, stderr=log)
        with child:  # the watchdog ends the processes when its input closes, also if this process dies
            code = child.wait()
    if (folder / "error.json").exists():
        error = json.loads((folder / "error.json").read_text())
        raise rebuild_error(error["kind"], error["text"])
    if code or not (folder / "curve.parquet").exists():
        lines = [line.strip() for line in (folder / "log.txt").read_text(errors="replace").splitlines() if line.strip()]
        raise EngineError(
            f"training {job.engine.model} in {processes} processes failed (exit code {code}); its log ends with: "
            f"{' | '.join(lines[-8:])}"
        )
    return pl.read_parquet(folder / "curve.parquet")


def _launch_command(processes: int, config: Path | None) -> list[str]:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(processes)]
    command += ["--num_machines", "1", "--main_process_port", str(_free_port())]
    if config:
        return [*command, "--config_file", str(config)]
    multiple = ["--multi_gpu"] if processes > 1 else []  # on CPUs too: accelerate's --multi_cpu needs MPI
    return [*command, "--mixed_precision", "no", "--dynamo_backend", "no", *multiple]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _job_as_json(job: TrainingJob) -> dict[str, Any]:
    return asdict(job) | {"into": str(job.into.resolve())}


def read_job(file: Path) -> TrainingJob:
    """Read a job that `_launch` wrote."""
    values = json.loads(file.read_text())
    settings = TrainingSettings(**values["settings"])
    return TrainingJob(values["method"], Spec(**values["engine"]), Path(values["into"]), settings, values["method_knobs"])
