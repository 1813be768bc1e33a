"""A model server of one's own: started as a child on a free loopback port when it is first needed, stopped with the run.

engine: {kind: vllm, model: Qwen/Qwen3-8B, server: {tensor-parallel-size: 2, max-model-len: 8192}}

`server` holds the server's own options as it names them. `command` says how to start it where that is not on the path, such as
[/opt/vllm/bin/python, -m, vllm.entrypoints.openai.api_server]. All else is as of an HTTP engine.
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
from attar.engines.base import Reply, Request, Spec
from attar.engines.http import engine as wired
from attar.engines.local.engine import find_model_folder
from attar.engines.options import check_options, title

_log = logging.getLogger(__name__)

WATCHDOG = Path(__file__).with_name("watchdog.py")
_START = {
    "vllm": (["vllm", "serve"], "--model", ["--served-model-name"]),
    "sglang": ([sys.executable, "-m", "sglang.launch_server"], "--model-path", ["--served-model-name"]),
    "llamacpp": (["llama-server"], "-m", ["-a"]),
}
"""How each is started, how it is told its model, and how the name to serve it under."""


class ServerOptions(wired.CommonOptions, total=False):
    """What a run file may say of a server to start."""

    server: dict[str, bool | int | float | str | list[str]]
    command: list[str]
    env: dict[str, str]
    ready: Annotated[float, Gt(0)]
    gpus: Annotated[int, Ge(1)]
    """Of a base, as `accelerate`: how its training is spread; its serving is spread by the server's own options."""
    accelerate: str


class ManagedServer:
    """One model on a server of its own."""

    careful = False

    def __init__(self, spec: Spec) -> None:
        self.options = check_options(spec, ServerOptions)
        self.spec, self.folder = spec, None if spec.model.endswith(".gguf") else find_model_folder(spec.model)
        self._starting, self._child, self._http = threading.Lock(), None, None

    def identity(self) -> str:
        """The model (its content, where it lies here) and what is added to each request; not how it is served."""
        file = Path(self.spec.model)
        content = folder_fingerprint(self.folder) if self.folder else file.stat().st_size if file.is_file() else None
        model = self.spec.identity or (content if self.folder else [self.spec.model, content])
        shaping = {name: self.options[name] for name in ("revision", "extra", "omit", "n", "rewards") if name in self.options}
        return fingerprint("http", model, shaping)

    @property
    def in_flight(self) -> int:
        """How many requests the server is at work on."""
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

            return load_template(self.folder)
        return self.http.template

    @property
    def http(self) -> wired.Http:
        """The engine that speaks to the server, which is started if need be."""
        with self._starting:
            if self._http is None:
                self._http = self._start()
            self._http.careful = self.careful
            return self._http

    def generate(self, requests: Iterable[Request]) -> Iterator[Reply]:
        """Texts, as they come."""
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
        start, model, served = _START[self.spec.kind]
        own = self.options.get("command", start)
        place = str(self.folder or self.spec.model)
        says = [place] if own == ["vllm", "serve"] else [model, place]
        if shutil.which(own[0]) is None:
            raise EngineError(
                f"{title(self.spec)}: there is no program {own[0]!r}; install it, or say with `command` how to start it"
            )
        flags = [part for key, value in self.options.get("server", {}).items() for part in _flag(key, value)]
        return [*own, *says, "--host", "127.0.0.1", "--port", str(port), *served, name, *flags]

    def _wait(self, port: int, command: list[str]) -> None:
        """Until the server says that it is well; the log's last lines if it ends before."""
        assert self._child
        until = time.monotonic() + self.options.get("ready", 1800.0)
        while self._child.poll() is None:
            if _healthy(port):
                return
            if time.monotonic() > until:
                said = _last_lines(self._log)
                self.close()
                raise EngineError(f"{title(self.spec)}: the server was not ready in time; it said last: {said}")
            time.sleep(0.2)
        code, self._child = self._child.returncode, None
        raise EngineError(
            f"{title(self.spec)}: the server ended by itself (code {code}); its log is {self._log}. It ran {' '.join(command)} "
            f"and said last: {_last_lines(self._log)}"
        )


def _flag(key: str, value: Any) -> list[str]:
    """One of the server's own options: true is the flag alone, a list follows it."""
    flag = key if key.startswith("-") else f"--{key}"
    if isinstance(value, bool):
        return [flag] if value else []
    return [flag, *map(str, value)] if isinstance(value, list) else [flag, str(value)]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _healthy(port: int) -> bool:
    talk = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        talk.request("GET", "/health")
        return talk.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        talk.close()


def _last_lines(log: Path, lines: int = 8) -> str:
    said = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " | ".join(said[-lines:])[-1200:] or "nothing"
