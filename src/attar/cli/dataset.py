"""Commands on the dataset that goes out: dataset, push."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from attar.cli.app import HOME, HomeOption, JsonOption, RunArgument, app, print_value, run_name


@app.command()
def dataset(  # noqa: PLR0913 (a command's options)
    run_: RunArgument,
    out_: Annotated[Path | None, typer.Option("-o", "--out", help="the folder to write; beside the run if not given")] = None,
    test: Annotated[float, typer.Option(help="the share of prompts to hold back")] = 0.02,
    seed: Annotated[int, typer.Option(help="another seed holds back others")] = 0,
    license_id: Annotated[str | None, typer.Option("--license", help="such as apache-2.0: for the card")] = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Write what a finished run made: parquet and JSONL for trainers, split, with a dataset card."""
    from attar.outputs.dataset.write import MARK, write_dataset
    from attar.runtime.home import Home, read_json

    folder = write_dataset(Home(home), run_name(run_), out_, test=test, seed=seed, license_id=license_id)
    configs = read_json(folder / MARK)["configs"]
    told = {name: {key: config[key] for key in ("form", "rows", "refused")} for name, config in configs.items()}
    print_value({"folder": str(folder), "configs": told}, as_json, _show_dataset)


@app.command()
def push(  # noqa: PLR0913 (a command's options)
    given: Annotated[str, typer.Argument(metavar="RUN|DIR", help="a run with a dataset, or the dataset's folder")],
    repo: Annotated[str, typer.Argument(metavar="REPO", help="such as me/my-data")],
    private: Annotated[bool, typer.Option("--private", help="let nobody else see it")] = False,
    variable: Annotated[str, typer.Option("--token-env", help="the environment variable that holds the token")] = "HF_TOKEN",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="tell what would be sent, and send nothing")] = False,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Send a dataset to the Hub, in one commit."""
    from attar.outputs.dataset.push import folder_of
    from attar.outputs.dataset.push import push as do_push
    from attar.runtime.home import Home

    sent = do_push(folder_of(given, Home(home)), repo, private=private, variable=variable, dry_run=dry_run)
    print_value(sent, as_json, _show_push)


def _show_dataset(told: dict[str, Any]) -> None:
    for name, config in told["configs"].items():
        refused = "".join(f", {count:,} left out ({reason})" for reason, count in config["refused"].items())
        sys.stdout.write(f"{name:<16} {config['rows']['train']:,} train, {config['rows']['test']:,} test{refused}\n")
    sys.stdout.write(f"{told['folder']}\n")


def _show_push(sent: dict[str, Any]) -> None:
    if not sent.get("dry_run"):
        sys.stdout.write(f"{sent['url']}\n")
        return
    for file, size in sent["files"].items():
        sys.stdout.write(f"{size:>14,}  {file}\n")
    token = "" if sent["token"] else "; the token is not set"
    seen = "private" if sent["private"] else "public"
    sys.stdout.write(f"{sent['bytes']:>14,}  in all would go to {sent['repo']} ({seen}){token}; nothing was sent\n")
