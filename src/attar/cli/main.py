"""The command line. It parses, calls, prints; a user's mistake is one line and exit code 2."""

import sys

from attar.cli import data, dataset, engines, evaluate, export, pool, prefix, runs, select
from attar.cli.app import app
from attar.core.errors import AttarError

# each module adds its commands as it is imported
__all__ = ["app", "data", "dataset", "engines", "evaluate", "export", "main", "pool", "prefix", "runs", "select"]


def main() -> None:
    """The `attar` command."""
    try:
        app()
    except AttarError as error:
        sys.stderr.write(f"attar: {' '.join(str(error).split())}\n")
        raise SystemExit(2) from None
    except OSError as error:
        sys.stderr.write(f"attar: {error.strerror or error}{f': {error.filename}' if error.filename else ''}\n")
        raise SystemExit(2) from None
