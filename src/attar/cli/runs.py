"""The commands on runs: plan, run, resume, status, why, report, compare, gc."""

from pathlib import Path
from typing import Annotated, Any

import typer

from attar.cli.app import (
    HOME,
    HomeOption,
    JsonOption,
    QuietOption,
    RunArgument,
    RunFileArgument,
    app,
    print_value,
    report_progress,
    run_name,
)
from attar.cli.console import print_plain


@app.command()
def plan(
    file: RunFileArgument,
    home: HomeOption = HOME,
    probe: Annotated[int, typer.Option(min=0, help="rows to run first for the estimates; 0 for none")] = 256,
    as_json: JsonOption = False,
) -> None:
    """Show every step of a run, its estimated time and cost, and what is already done."""
    from attar.cli.render import plan_lines, print_plan, print_remarks
    from attar.runtime.home import Home
    from attar.runtime.plan import plan as make_plan
    from attar.runtime.run_file import read_run_file

    trace = read_run_file(file).trace()
    print_value(plan_lines(make_plan(trace, Home(home), probe)), as_json, print_plan)
    if not as_json:
        print_remarks(trace.remarks)


@app.command()
def run(
    file: RunFileArgument,
    home: HomeOption = HOME,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a recipe; run it again to continue where it stopped."""
    _start(file, home, quiet, as_json)


def _start(file: Path, home: Path, quiet: bool, as_json: bool, **settings: Any) -> None:
    """Run a recipe, some of its file's settings changed, and print its results."""
    from dataclasses import replace

    from attar.api.run import start
    from attar.cli.render_results import print_results
    from attar.runtime.home import Home
    from attar.runtime.progress import Live
    from attar.runtime.run_file import read_run_file

    content = read_run_file(file)
    content = replace(content, settings=replace(content.settings, **settings))
    with report_progress(None if quiet or as_json else Live()) as watch:
        results = start(content, Home(home), watch)
    print_value(results, as_json, lambda record: print_results(record, quiet))


@app.command()
def resume(run_: RunArgument, home: HomeOption = HOME, quiet: QuietOption = False, as_json: JsonOption = False) -> None:
    """Continue a run, given its name: its run file is read again."""
    from attar.runtime.home import Home, run_record

    record = run_record(Home(home), run_name(run_))
    _start(Path(record["file"]), home, quiet, as_json)


@app.command()
def retry(run_: RunArgument, home: HomeOption = HOME, quiet: QuietOption = False, as_json: JsonOption = False) -> None:
    """Ask the rows of a run again that failed for reasons that pass, and make again what was made without them.

    `attar run` does so too, unless a model was trained on the rows.
    """
    from attar.runtime.home import Home, run_record

    record = run_record(Home(home), run_name(run_))
    _start(Path(record["file"]), home, quiet, as_json, retry="always")


@app.command()
def status(
    run_: Annotated[str | None, typer.Argument(metavar="[RUN]", help="a run's name; none: all runs")] = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Show how far a run is, step by step; or all runs of the home."""
    from attar.cli.render import print_status, status_lines
    from attar.runtime.home import Home

    print_value(status_lines(Home(home), run_name(run_) if run_ else None), as_json, print_status)


@app.command()
def why(
    run_: RunArgument, row: Annotated[str, typer.Argument(metavar="ID")], home: HomeOption = HOME, as_json: JsonOption = False
) -> None:
    """Show a row's history: the model that generated it, every score, and why it was kept or dropped."""
    from dataclasses import asdict

    from attar.cli.render import print_history
    from attar.runtime.home import Home
    from attar.runtime.row_history import history_of

    print_value([asdict(chapter) for chapter in history_of(Home(home), run_name(run_), row)], as_json, print_history)


@app.command()
def report(
    names: Annotated[list[str], typer.Argument(metavar="RUN", help="a run's name, or its run file; several are compared")],
    out_: Annotated[Path | None, typer.Option("-o", "--out", help="where to write; beside the run if not given")] = None,
    home: HomeOption = HOME,
) -> None:
    """Write a run's report, or one of several runs of a recipe side by side: one HTML file that opens offline."""
    from attar.outputs.report.page import write_report
    from attar.runtime.home import Home

    print_plain(str(write_report(Home(home), *map(run_name, names), out=out_)))


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(metavar="RUN[:ARM]", help="two or more; without an arm a run's main one")],
    examples: Annotated[int, typer.Option(min=0, help="pairs of answers to show for each side, in each direction")] = 3,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Compare runs on the same questions: scores, wins by category and level, costs, and answers that differ most."""
    from attar.cli.render_comparison import print_comparison
    from attar.outputs.compare.compare import compare as compare_runs
    from attar.runtime.home import Home

    print_value(compare_runs(Home(home), *map(_side_name, names), most=examples).plain(), as_json, print_comparison)


def _side_name(side: str) -> str:
    """Normalise RUN or RUN:ARM, where RUN may be a run file, to names."""
    file, _, arm = side.rpartition(":")
    return f"{run_name(file)}:{arm}" if file.endswith((".yaml", ".yml")) else run_name(side)


@app.command()
def gc(
    home: HomeOption = HOME,
    really: Annotated[bool, typer.Option("--really", help="remove them; without it they are only listed")] = False,
    as_json: JsonOption = False,
) -> None:
    """List (or remove) the steps that no run refers to."""
    from attar.cli.render import print_garbage
    from attar.runtime.home import Home, collect_garbage

    steps = [{"step": name, "bytes": size} for name, size in collect_garbage(Home(home), really=really)]
    print_value(steps, as_json, lambda lines: print_garbage(lines, really))
