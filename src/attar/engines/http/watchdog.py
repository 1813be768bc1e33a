"""Run a server, and end it when the process that started it ends, however that happens: `python watchdog.py COMMAND ...`

Its standard input is a pipe from Attar. When that closes, even by `kill -9`, the server's whole process group is ended.
Only the standard library is used, so that it starts at once.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

_GRACE = 15.0


def _end(server: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(server.pid, number)
    except ProcessLookupError:
        return


def _wait_for_parent(server: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1):
        pass
    _end(server, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(_GRACE)
    _end(server, signal.SIGKILL)  # workers of the group that outlived the server
    os._exit(0)


def main() -> None:
    """Watch both the server and the parent process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_wait_for_parent, args=(server,), daemon=True).start()
    code = server.wait()
    _end(server, signal.SIGKILL)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
