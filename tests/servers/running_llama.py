"""llama.cpp's server as a child, for as long as a `with` lasts; it ends with this process, however that ends."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attar.engines.http.managed_server import WATCHDOG

LLAMA = Path(__file__).with_name("llama.py")


@contextmanager
def serving(model: Path, *flags: str) -> Iterator[str]:
    """The url of a model's API, on a free port."""
    command = [sys.executable, str(WATCHDOG), sys.executable, str(LLAMA), "-m", str(model), "--port", "0", *flags]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdin
    assert server.stdout
    try:
        line = next((line for line in server.stdout if "listening on" in line), "")
        assert line, f"llama.cpp's server ended by itself (code {server.wait()}): {' '.join(command)}"
        yield line.rsplit(" ", 1)[1].strip() + "/v1"
    finally:
        server.stdin.close()
        server.wait(30)
        server.stdout.close()
