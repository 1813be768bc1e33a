"""The commands on engines: doctor, journal, batches."""

from pathlib import Path
from typing import Annotated, Any

import typer

from attar.cli.app import HOME, HomeOption, JsonOption, app, print_value


@app.command()
def doctor(
    model: Annotated[str, typer.Argument(metavar="ENGINE", help="a model (folder, hub id, pocket:teacher), or RUN.yaml:ROLE")],
    kind: Annotated[str, typer.Option(help="the engine's kind")] = "local",
    url: Annotated[str | None, typer.Option(help="URL of a server to examine; ENGINE is one of its models")] = None,
    judge: Annotated[bool, typer.Option("--judge", help="only: can it judge? 80 requests on pairs with known answers")] = False,
    as_json: JsonOption = False,
) -> None:
    """Examine what an engine can do: endpoints, raw prompts, Magpie prefix, BOS, stops, log-probs, shapes, speed, price."""
    from dataclasses import asdict

    from attar.cli.render import print_findings
    from attar.engines.base import Spec
    from attar.engines.doctor.engine import examine

    spec = engine_of_role(model) or (Spec("http", model, {"url": url}) if url else Spec(kind, model))
    if judge:
        _check_judge(spec, as_json)
        return
    findings = [asdict(finding) for finding in examine(spec)]
    print_value(findings, as_json, print_findings)
    if not all(finding["good"] for finding in findings if finding["needed"]):
        raise typer.Exit(1)


def _check_judge(spec: Any, as_json: bool) -> None:
    """Print whether an engine can judge; exit code 1 if it cannot, one by one or in pairs."""
    from attar.api.judge_check import check_judge
    from attar.cli.render_judge import print_judge_check
    from attar.engines.registry import open_engine
    from attar.stages.evaluate.judging.judge_check import plain

    engine = open_engine(spec)
    try:
        result = plain(check_judge(engine))
    finally:
        engine.close()
    print_value(result, as_json, print_judge_check)
    if result["reasons"]:
        raise typer.Exit(1)


def engine_of_role(text: str) -> Any:
    """The engine that RUN.yaml:ROLE names; None for any other text."""
    from attar.core.errors import EngineError, did_you_mean
    from attar.runtime.run_file import read_run_file

    file, _, role = text.rpartition(":")
    if not file.endswith((".yaml", ".yml")):
        return None
    engines = read_run_file(Path(file)).engines
    if role not in engines:
        raise EngineError(f"{file} has no engine {role!r}; {did_you_mean(role, engines)}")
    return engines[role]


@app.command()
def journal(
    home: HomeOption = HOME,
    vacuum: Annotated[bool, typer.Option("--vacuum", help="delete recorded failures and free the space")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="keep what can be read of a damaged journal")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how many replies are stored, how many requests they saved, and what failed."""
    from dataclasses import asdict

    from attar.cli.render import print_journal, print_repair
    from attar.core.errors import AttarError
    from attar.engines.journal import Journal
    from attar.engines.journal_file import repair as repair_journal
    from attar.runtime.home import Home

    path = Home(home).journal
    if not path.exists():
        raise AttarError(f"{home} has no journal yet: the first run creates it")
    if repair:
        result = asdict(repair_journal(path))
        print_value({**result, "aside": str(result["aside"])}, as_json, print_repair)
        return
    opened = Journal(path)
    if vacuum:
        opened.vacuum()
    stats = opened.stats()
    opened.close()
    print_value(stats, as_json, print_journal)


@app.command()
def batches(
    engine: Annotated[str, typer.Argument(metavar="RUN.yaml:ROLE", help="a role with an engine of kind batch")],
    cancel: Annotated[str | None, typer.Option(help="the batch to cancel; its finished replies are still fetched")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the batches at an API, or cancel one."""
    from attar.cli.render import print_batches
    from attar.core.errors import EngineError
    from attar.engines.registry import kind_of, open_engine

    spec = engine_of_role(engine)
    if spec is None or not kind_of(spec).batches:
        raise EngineError(f"{engine} is no engine of kind batch: write it as RUN.yaml:ROLE")
    opened = open_engine(spec)
    if cancel:
        opened.cancel(cancel)
    print_value(opened.list_batches(), as_json, print_batches)
