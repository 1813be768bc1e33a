"""The command line. It parses, calls, prints; a user's mistake is one line and exit code 2."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from attar.errors import AttarError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Distil a strong model into a small dataset, train on it, measure what it was worth.",
)

HomeOption = Annotated[Path, typer.Option("--home", envvar="ATTAR_HOME", help="where steps, journal and runs are kept")]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="print nothing but the result")]
RunFileArgument = Annotated[Path, typer.Argument(metavar="RUN.yaml", help="a run file")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="a run's name, or its run file")]
_HOME = Path(".attar")


def run_name(given: str) -> str:
    """A run's name, from itself or from its run file."""
    return Path(given).name.removesuffix(".yaml").removesuffix(".yml")


@app.command()
def recipes(as_json: JsonOption = False) -> None:
    """List the recipes, their papers, roles and knobs."""
    from attar.runfile import builtin, find_recipe, signature
    from attar.show import print_recipes

    found = {name: find_recipe(name) for name in builtin()}
    lines = [
        {
            "recipe": name,
            "paper": vars(function).get("paper"),
            "about": (function.__doc__ or "").strip(),
            "roles": roles,
            "knobs": knobs,
        }
        for name, function in found.items()
        for roles, knobs in [_parameters(function, *signature(function))]
    ]
    _out(lines, as_json, print_recipes)


def _parameters(function: Any, roles: dict[str, bool], knobs: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    import inspect

    parameters = inspect.signature(function).parameters
    return {role: "needed" if needed else "optional" for role, needed in roles.items()}, {
        k: parameters[k].default for k in knobs
    }


@app.command()
def plan(
    file: RunFileArgument,
    home: HomeOption = _HOME,
    probe: Annotated[int, typer.Option(min=0, help="rows to send through first, for the estimates; 0 sends none")] = 64,
    as_json: JsonOption = False,
) -> None:
    """Show every step of a run, what it will take, and what is already done."""
    from attar.home import Home
    from attar.plan import plan as make_plan
    from attar.runfile import read_run_file
    from attar.show import plan_lines, print_plan

    estimates = make_plan(read_run_file(file).trace(), Home(home), probe)
    _out(plan_lines(estimates), as_json, print_plan)


@app.command()
def run(
    file: RunFileArgument,
    home: HomeOption = _HOME,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a recipe; run it again to go on from where it stopped."""
    from attar.home import Home
    from attar.runfile import read_run_file
    from attar.show import print_results
    from attar.start import start
    from attar.watch import Live, Quiet

    watch = Quiet() if quiet or as_json else Live()
    try:
        results = start(read_run_file(file), Home(home), watch)
    except KeyboardInterrupt:
        sys.stderr.write("attar: stopped; the same command goes on from here\n")
        raise typer.Exit(130) from None
    finally:
        if isinstance(watch, Live):
            watch.stop()
    _out(results, as_json, lambda found: print_results(found, quiet))


@app.command()
def resume(run_: RunArgument, home: HomeOption = _HOME, quiet: QuietOption = False, as_json: JsonOption = False) -> None:
    """Go on with a run by its name: its run file, read again from where it lay."""
    from attar.home import Home, run_record

    record = run_record(Home(home), run_name(run_))
    run(Path(record["file"]), home, quiet, as_json)


@app.command()
def status(
    run_: Annotated[str | None, typer.Argument(metavar="[RUN]", help="a run's name; none: all runs")] = None,
    home: HomeOption = _HOME,
    as_json: JsonOption = False,
) -> None:
    """Show how far a run is, step by step; or all runs of the home."""
    from attar.home import Home
    from attar.show import print_status, status_lines

    _out(status_lines(Home(home), run_name(run_) if run_ else None), as_json, print_status)


@app.command()
def why(
    run_: RunArgument, row: Annotated[str, typer.Argument(metavar="ID")], home: HomeOption = _HOME, as_json: JsonOption = False
) -> None:
    """Tell a row's whole story: who wrote it, every score, why it was kept or dropped."""
    from dataclasses import asdict

    from attar.home import Home
    from attar.show import print_story
    from attar.story import story

    _out([asdict(chapter) for chapter in story(Home(home), run_name(run_), row)], as_json, print_story)


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(help="a file or folder: JSON, JSONL, parquet, `datasets`")],
    target: Annotated[Path, typer.Argument(help=".jsonl, .json or .parquet; no suffix: a folder")],
    to: Annotated[str, typer.Option(help="messages, sharegpt, alpaca, prompt or preference")] = "messages",
    form: Annotated[str | None, typer.Option("--from", help="the source's format; detected row by row if not given")] = None,
    layout: Annotated[str | None, typer.Option(help="of a folder: parquet, or datasets (as `save_to_disk`)")] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn chat data of any known format into another; rows that cannot be are set aside with their reasons."""
    from attar.convert import convert as do_convert
    from attar.show import print_conversion

    _out(do_convert(source, target, to, form, layout), as_json, print_conversion)


@app.command()
def doctor(
    model: Annotated[str, typer.Argument(metavar="ENGINE", help="a model (folder, hub id, pocket:teacher), or RUN.yaml:ROLE")],
    kind: Annotated[str, typer.Option(help="the engine's kind")] = "local",
    url: Annotated[str | None, typer.Option(help="of a server to look over: the model is one of its models")] = None,
    as_json: JsonOption = False,
) -> None:
    """Try what an engine can do: endpoints, raw prompts, Magpie prefix, BOS, stops, log-probs, shapes, speed, price."""
    from dataclasses import asdict

    from attar.engines.base import Spec
    from attar.engines.doctor import examine
    from attar.show import print_findings

    spec = _role(model) or (Spec("http", model, {"url": url}) if url else Spec(kind, model))
    findings = [asdict(finding) for finding in examine(spec)]
    _out(findings, as_json, print_findings)
    if not all(finding["good"] for finding in findings if finding["needed"]):
        raise typer.Exit(1)


def _role(given: str) -> Any:
    """The engine that RUN.yaml:ROLE names; None for any other text."""
    from attar.errors import EngineError, did_you_mean
    from attar.runfile import read_run_file

    file, _, role = given.rpartition(":")
    if not file.endswith((".yaml", ".yml")):
        return None
    engines = read_run_file(Path(file)).engines
    if role not in engines:
        raise EngineError(f"{file} has no engine {role!r}; {did_you_mean(role, engines)}")
    return engines[role]


@app.command()
def report(
    run_: RunArgument,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="where to write; beside the run if not given")] = None,
    home: HomeOption = _HOME,
) -> None:
    """Write a run's report: one HTML file that opens offline."""
    from attar.home import Home
    from attar.report.page import write_report

    print(write_report(Home(home), run_name(run_), out))  # noqa: T201 (its output is its result)


@app.command()
def journal(
    home: HomeOption = _HOME,
    vacuum: Annotated[bool, typer.Option("--vacuum", help="forget recorded failures and give space back")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how many replies are kept, how often they spared a call, what failed."""
    from attar.engines.journal import Journal
    from attar.home import Home
    from attar.show import print_journal

    path = Home(home).journal
    if not path.exists():
        raise AttarError(f"{home} has no journal yet: it is made by the first run")
    opened = Journal(path)
    if vacuum:
        opened.vacuum()
    told = opened.told()
    opened.close()
    _out(told, as_json, print_journal)


@app.command()
def batches(
    engine: Annotated[str, typer.Argument(metavar="RUN.yaml:ROLE", help="a role whose engine is of the kind batch")],
    cancel: Annotated[str | None, typer.Option(help="the batch to give up; what it has answered is still fetched")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the batches at an API, or give one up."""
    from attar.engines.batch import Batch
    from attar.errors import EngineError
    from attar.show import print_batches

    spec = _role(engine)
    if spec is None or spec.kind != "batch":
        raise EngineError(f"{engine} is no engine of the kind batch; write it as RUN.yaml:ROLE")
    opened = Batch(spec)
    if cancel:
        opened.cancel(cancel)
    _out(opened.listed(), as_json, print_batches)


@app.command()
def gc(
    home: HomeOption = _HOME,
    really: Annotated[bool, typer.Option("--really", help="remove them; without it they are only listed")] = False,
    as_json: JsonOption = False,
) -> None:
    """List (or remove) the steps that no run refers to."""
    from attar.home import Home, collect_garbage
    from attar.show import print_garbage

    found = [{"step": name, "bytes": size} for name, size in collect_garbage(Home(home), really=really)]
    _out(found, as_json, lambda lines: print_garbage(lines, really))


def _out(value: Any, as_json: bool, show: Any) -> None:
    if as_json:
        sys.stdout.write(json.dumps(value, ensure_ascii=False, default=str) + "\n")
    else:
        show(value)


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
