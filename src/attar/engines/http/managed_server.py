"""A model server that Attar manages: started as a child on a free loopback port when first needed, stopped with the run.

engine: {kind: vllm, model: Qwen/Qwen3-8B, server: {tensor-parallel-size: 2, max-model-len: 8192}}

`server` holds the server's own options under their own names. `command` starts it if it is not on the path, such as
[/opt/vllm/bin/python, -m, vllm.entrypoints.openai.api_server]. The other options are those of an HTTP engine.
"""

import http.client
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt

from attar.chat.templates import Template
from attar.core.errors import EngineError
from attar.core.fingerprint import fingerprint, folder_fingerprint
from attar.engines import thinking
from attar.engines.base import Reply, Request, Spec
from attar.engines.http import engine as wired
from attar.engines.local.spec import find_model_folder
from attar.engines.options import check_options, title

_log = logging.getLogger(__name__)

WATCHDOG = Path(__file__).with_name("watchdog.py")
_START = {
    "vllm": (["vllm", "serve"], "--model", ["--served-model-name"]),
    "sglang": ([sys.executable, "-m", "sglang.launch_server"], "--model-path", ["--served-model-name"]),
    "llamacpp": (["llama-server"], "-m", ["-a"]),
}
"""Per kind: the command, the flag for the model, the flag for the name to serve it under."""


class ServerOptions(wired.CommonOptions, total=False):
    """The options of a managed server."""

    server: dict[str, bool | int | float | str | list[str]]
    command: list[str]
    env: dict[str, str]
    ready: Annotated[float, Gt(0)]
    gpus: Annotated[int, Ge(1)]
    """GPUs for training a base model, like `accelerate`; serving uses the server's own options."""
    accelerate: str


class ManagedServer:
    """One model on a server that Attar starts and stops."""

    careful = False

    def __init__(self, spec: Spec) -> None:
        self.options = check_options(spec, ServerOptions)
        self.spec = spec
        self.folder = None if spec.model.endswith(".gguf") else find_model_folder(spec.model)
        self._starting = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._http: wired.Http | None = None

    def identity(self) -> str:
        """A hash of the model (its content if it is local) and what is added to each request; not of how it is served."""
        file = Path(self.spec.model)
        content = folder_fingerprint(self.folder) if self.folder else file.stat().st_size if file.is_file() else None
        model = self.spec.identity or (content if self.folder else [self.spec.model, content])
        shaping = {name: self.options[name] for name in ("revision", "extra", "omit", "n", "rewards") if name in self.options}
        return fingerprint("http", model, shaping | thinking.shaping(self.options))

    @property
    def in_flight(self) -> int:
        """How many requests the server is working on."""
        return self._http.in_flight if self._http else 0

    @property
    def errors(self) -> Counter[str]:
        """Failed tries by kind."""
        return self._http.errors if self._http else Counter()

    @cached_property
    def template(self) -> Template:
        """The model's chat template: from its folder, else from the server."""
        if self.folder:
            from attar.chat.templates import load_template

            return thinking.with_arguments(load_template(self.folder), self.options)
        return self.http.template

    @property
    def http(self) -> wired.Http:
        """The HTTP engine of the server, which is started if necessary."""
        with self._starting:
            if self._http is None:
                self._http = self._start()
            self._http.careful = self.careful
            return self._http

    def generate(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Generated texts, in the order in which they finish."""
        return self.http.generate(requests)

    def weigh(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Log-probabilities of labels."""
        return self.http.weigh(requests)

    def embed(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Unit vectors."""
        return self.http.embed(requests)

    def reward(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Rewards."""
        return self.http.reward(requests)

    def close(self) -> None:
        """Stop the server."""
        if self._http:
            self._http.close()
        if self._child and self._child.stdin:
            self._child.stdin.close()
            self._child.wait()
            self._log.unlink(missing_ok=True)
        self._http = self._child = None

    def _start(self) -> wired.Http:
        port, name = _free_port(), Path(self.spec.model.removeprefix("pocket:")).name
        log = tempfile.NamedTemporaryFile(prefix=f"attar-{self.spec.kind}-", suffix=".log", delete=False)  # noqa: SIM115 (kept)
        environment = os.environ | self.options.get("env", {})
        command = self._command(port, name)
        _log.debug("starting a server: %s (its log: %s)", " ".join(command), log.name)
        self._child = subprocess.Popen(
            [sys.executable, str(WATCHDOG), *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        log.close()
        self._log = Path(log.name)
        self._wait(port, command)
        options = {key: value for key, value in self.options.items() if key in wired.CommonOptions.__annotations__}
        if self.folder:
            options.setdefault("tokenizer", str(self.folder))
        options["url"] = f"http://127.0.0.1:{port}/v1"
        return wired.Http(Spec("http", name, options))

    def _command(self, port: int, name: str) -> list[str]:
        start, model, name_flag = _START[self.spec.kind]
        program = self.options.get("command", start)
        path = str(self.folder or self.spec.model)
        model_arguments = [path] if program == ["vllm", "serve"] else [model, path]
        if shutil.which(program[0]) is None:
            raise EngineError(
                f"{title(self.spec)}: there is no program {program[0]!r}; "
                "install it, or set `command` to the command that starts the server"
            )
        flags = [part for key, value in self.options.get("server", {}).items() for part in _flag(key, value)]
        return [*program, *model_arguments, "--host", "127.0.0.1", "--port", str(port), *name_flag, name, *flags]

    def _wait(self, port: int, command: list[str]) -> None:
        """Wait until the server is healthy; raises with the log's last lines if it ends or is too slow."""
        assert self._child
        until = time.monotonic() + self.options.get("ready", 1800.0)
        while self._child.poll() is None:
            if _is_healthy(port):
                return
            if time.monotonic() > until:
                lines = _last_lines(self._log)
                self.close()
                raise EngineError(f"{title(self.spec)}: the server was not ready in time; its log ends: {lines}")
            time.sleep(0.2)
        code, self._child = self._child.returncode, None
        raise EngineError(
            f"{title(self.spec)}: the server ended by itself (code {code}); its log is {self._log}. It ran {' '.join(command)} "
            f"and its log ends: {_last_lines(self._log)}"
        )


def _flag(key: str, value: Any) -> list[str]:
    """One of the server's own options as arguments: true is the bare flag, a list gives several values."""
    flag = key if key.startswith("-") else f"--{key}"
    if isinstance(value, bool):
        return [flag] if value else []
    return [flag, *map(str, value)] if isinstance(value, list) else [flag, str(value)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _last_lines(log: Path, lines: int = 8) -> str:
    last = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " | ".join(last[-lines:])[-1200:] or "nothing"
