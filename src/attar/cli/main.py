"""The command line: it parses, calls and prints. A user's mistake is one line and exit code 2.

Every error is one line; `--debug`, or ATTAR_DEBUG=1, adds the traceback and Attar's log.
"""

import logging
import os
import sys
import traceback

from attar.cli import data, dataset, engines, evaluate, export, pool, prefix, runs, select
from attar.cli.app import app
from attar.core.errors import AttarError

# each module adds its commands as it is imported
__all__ = ["app", "data", "dataset", "engines", "evaluate", "export", "main", "pool", "prefix", "runs", "select"]

DEBUG = "--debug"


def main() -> None:
    """The `attar` command."""
    debug = _set_up_debugging()
    try:
        app()
    except AttarError as error:
        _fail(" ".join(str(error).split()), debug, code=2)
    except OSError as error:
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", debug, code=2)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 (the outermost boundary; a panic of polars or tokenizers is no Exception)
        place = "".join(f"{note}: " for note in getattr(error, "__notes__", ()))
        what = " ".join(f"{type(error).__name__}: {error}".split())
        hint = "" if debug else f"; {DEBUG} shows where it happened"
        _fail(f"{place}{what} (unexpected: a fault of Attar, or of a stage of yours{hint})", debug, code=1)


def _set_up_debugging() -> bool:
    """True if --debug, anywhere on the line, or ATTAR_DEBUG asks for tracebacks; then also turn on the log."""
    debug = DEBUG in sys.argv[1:] or os.environ.get("ATTAR_DEBUG", "") not in ("", "0")
    sys.argv[1:] = [word for word in sys.argv[1:] if word != DEBUG]
    if debug:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
        logging.getLogger("attar").addHandler(handler)
        logging.getLogger("attar").setLevel(logging.DEBUG)
    return debug


def _fail(line: str, debug: bool, *, code: int) -> None:
    if debug:
        traceback.print_exc()
    sys.stderr.write(f"attar: {line}\n")
    raise SystemExit(code) from None
