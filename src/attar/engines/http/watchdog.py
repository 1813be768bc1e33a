"""Runs a server and takes it down with the process that asked for it, however that ends: `python warden.py COMMAND ...`

Its standard input is a pipe whose other end Attar holds; when that closes, by `kill -9` too, the server's whole group is ended.
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
    _end(server, signal.SIGKILL)  # what is left of the group: workers that lost their parent
    os._exit(0)


def main() -> None:
    """Watch both: the server, and whoever wants it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=_wait_for_parent, args=(server,), daemon=True).start()
    code = server.wait()
    _end(server, signal.SIGKILL)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
