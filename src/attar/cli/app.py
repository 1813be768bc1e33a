"""What all commands share: the application, its common options, how a value is printed, and how what takes long is watched."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from attar.runtime.progress import Live
    from attar.runtime.runner import Reporter

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Distil a strong model into a small dataset, train on it, measure what it was worth.",
)


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="show what is behind an error, and a log (or ATTAR_DEBUG=1)")] = False,
) -> None:
    """Only names the option: `main` reads it, wherever it stands on the line."""


HomeOption = Annotated[Path, typer.Option("--home", envvar="ATTAR_HOME", help="where steps, journal and runs are kept")]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="print nothing but the result")]
RunFileArgument = Annotated[Path, typer.Argument(metavar="RUN.yaml", help="a run file")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="a run's name, or its run file")]
HOME = Path(".attar")


def run_name(given: str) -> str:
    """A run's name, from itself or from its run file."""
    return Path(given).name.removesuffix(".yaml").removesuffix(".yml")


def print_value(value: Any, as_json: bool, show: Any) -> None:
    """Print a value: as JSON for programs, else shown."""
    if as_json:
        sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    else:
        show(value)


@contextmanager
def report_progress(live: "Live | None") -> "Iterator[Reporter]":
    """Who is told how it goes, if anybody; stopped, it says how to go on, and leaves the terminal as it was."""
    from attar.runtime.progress import Quiet

    try:
        yield live or Quiet()
    except KeyboardInterrupt:
        sys.stderr.write("attar: stopped; the same command goes on from here\n")
        raise typer.Exit(130) from None
    finally:
        if live:
            live.stop()
