"""The commands `dataset` and `push`, which write and publish a run's data."""

from pathlib import Path
from typing import Annotated, Any

import typer

from attar.cli.app import HOME, HomeOption, JsonOption, RunArgument, app, print_value, run_name
from attar.cli.console import print_plain


@app.command()
def dataset(  # noqa: PLR0913 (a command's options)
    run_: RunArgument,
    out_: Annotated[Path | None, typer.Option("-o", "--out", help="the folder to write; beside the run if not given")] = None,
    test: Annotated[float, typer.Option(help="the share of prompts in the test split")] = 0.02,
    seed: Annotated[int, typer.Option(help="the seed of the split")] = 0,
    license_id: Annotated[str | None, typer.Option("--license", help="the licence on the card, such as apache-2.0")] = None,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Write a finished run's data: parquet and JSONL for trainers, split, with a dataset card."""
    from attar.outputs.dataset.write import MARK, write_dataset
    from attar.runtime.home import Home, read_json

    folder = write_dataset(Home(home), run_name(run_), out_, test=test, seed=seed, license_id=license_id)
    configs = read_json(folder / MARK)["configs"]
    summary = {name: {key: config[key] for key in ("form", "rows", "refused")} for name, config in configs.items()}
    print_value({"folder": str(folder), "configs": summary}, as_json, _show_dataset)


@app.command()
def push(  # noqa: PLR0913 (a command's options)
    source: Annotated[str, typer.Argument(metavar="RUN|DIR", help="a run with a dataset, or the dataset's folder")],
    repo: Annotated[str, typer.Argument(metavar="REPO", help="such as me/my-data")],
    private: Annotated[bool, typer.Option("--private", help="make the repository private")] = False,
    variable: Annotated[str, typer.Option("--token-env", help="the environment variable that holds the token")] = "HF_TOKEN",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list what would be sent, and send nothing")] = False,
    home: HomeOption = HOME,
    as_json: JsonOption = False,
) -> None:
    """Send a dataset to the Hub, in one commit."""
    from attar.outputs.dataset.push import folder_of
    from attar.outputs.dataset.push import push as do_push
    from attar.runtime.home import Home

    sent = do_push(folder_of(source, Home(home)), repo, private=private, variable=variable, dry_run=dry_run)
    print_value(sent, as_json, _show_push)


def _show_dataset(summary: dict[str, Any]) -> None:
    for name, config in summary["configs"].items():
        refused = "".join(f", {count:,} left out ({reason})" for reason, count in config["refused"].items())
        print_plain(f"{name:<16} {config['rows']['train']:,} train, {config['rows']['test']:,} test{refused}")
    print_plain(summary["folder"])


def _show_push(sent: dict[str, Any]) -> None:
    if not sent.get("dry_run"):
        print_plain(sent["url"])
        return
    for file, size in sent["files"].items():
        print_plain(f"{size:>14,}  {file}")
    token = "" if sent["token"] else "; the token is not set"
    visibility = "private" if sent["private"] else "public"
    print_plain(f"{sent['bytes']:>14,}  in total would be sent to {sent['repo']} ({visibility}){token}; nothing was sent")
