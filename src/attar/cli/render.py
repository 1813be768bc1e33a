"""Print recipes, plans, runs, rows' histories and engines' states on the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table as Grid

from attar.cli.console import console
from attar.core.format import format_dollars, format_seconds
from attar.engines.journal import Journal
from attar.engines.meter import Usage
from attar.runtime.home import Home, count_done_rows, read_card, run_record
from attar.runtime.plan import Estimate


def make_grid(*columns: str, right: tuple[str, ...] = ()) -> Grid:
    """A table without lines; columns named in `right` are right-aligned."""
    grid = Grid(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        is_name = column in ("stage", "engine", "step")
        grid.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="ellipsis" if is_name else "fold",
            no_wrap=column in right,  # never truncate a number; names are shortened instead
        )
    return grid


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else format_seconds(seconds)


def _money(value: float | None) -> str:
    return "" if value is None else format_dollars(value)


def print_recipes(lines: list[dict[str, Any]]) -> None:
    """Print every recipe with its roles and knobs."""
    for line in lines:
        console.print(f"[bold]{line['recipe']}[/]  {line['paper'] or ''}\n  {escape(line['about'])}")
        console.print("  engines: " + ", ".join(f"{role} ({need})" for role, need in line["roles"].items()))
        console.print("  knobs:   " + escape(", ".join(f"{knob}={default!r}" for knob, default in line["knobs"].items())))


def print_filters(lines: list[dict[str, Any]]) -> None:
    """Print every filter with its rule and its ranking."""
    for line in lines:
        console.print(f"[bold]{line['filter']}[/]  {escape(line['about'])}; keeps {line['size']:,}")
        console.print(f"  rule: {escape(line['rule'])}", soft_wrap=True)
        strata = f", half of them each by: {line['per']}" if line["per"] else ""
        console.print(f"  by:   {escape(line['by'] or 'chance')}{escape(strata)}", soft_wrap=True)
        if line["reward_model"]:
            threshold = f"reward > {line['reward_above']:g} is for {line['reward_model']}"
            console.print(f"  {threshold}; by another model's scores the lowest tenth is dropped (knob reward_above)")


def plan_lines(estimates: list[Estimate]) -> list[dict[str, Any]]:
    """A plan as plain data."""
    return [
        {
            "step": estimate.step.name,
            "stage": estimate.step.title,
            "engine": estimate.step.engine_name,
            "done": estimate.done,
            "rows": estimate.rows,
            "calls": estimate.calls,
            "tokens_in": estimate.tokens_in,
            "tokens_out": estimate.tokens_out,
            "seconds": estimate.seconds,
            "cost": estimate.cost,
        }
        for estimate in estimates
    ]


def print_plan(lines: list[dict[str, Any]]) -> None:
    """Print a plan with its totals."""
    table = make_grid(
        "",
        "step",
        "stage",
        "engine",
        "rows",
        "calls",
        "tokens in",
        "out",
        "time",
        "cost",
        right=("rows", "calls", "tokens in", "out", "time", "cost"),
    )
    for line in lines:
        numbers = [_number(line[key]) for key in ("rows", "calls", "tokens_in", "tokens_out")]
        mark = "[green]✓[/]" if line["done"] else "·"
        table.add_row(
            mark, line["step"], line["stage"], line["engine"] or "", *numbers, _time(line["seconds"]), _money(line["cost"])
        )
    console.print(table)
    todo = [line for line in lines if not line["done"]]
    known = sum(line["seconds"] or 0 for line in todo)
    unknown = sum(line["seconds"] is None for line in todo)
    unestimated = f", plus {unknown} steps that cannot be estimated before a model is trained" if unknown else ""
    time = f"at most {_time(known)}, estimated by the probe (with fewer concurrent requests than the run)"
    console.print(f"\n{len(todo)} of {len(lines)} steps to do: {time}{unestimated}")
    if costs := [line["cost"] for line in todo if line["cost"] is not None]:
        unpriced = sorted({line["engine"] for line in todo if line["calls"] and line["cost"] is None})
        remark = f"; no price is known for {', '.join(unpriced)}" if unpriced else ""
        console.print(f"cost: {_money(sum(costs))}{remark}")


def print_remarks(remarks: Sequence[str]) -> None:
    """Print what a recipe says of a run, such as what rows are kept by."""
    for remark in remarks:
        console.print(escape(remark), soft_wrap=True)


def status_lines(home: Home, name: str | None) -> list[dict[str, Any]]:
    """All runs, or one run's steps, as plain data."""
    if name is None:
        records = [run_record(home, file.stem) for file in sorted(home.runs.glob("*.json"))]
        return [
            {
                "run": record["name"],
                "recipe": record["recipe"],
                "steps": len(record["steps"]),
                "done": sum(read_card(home.steps / step["folder"]) is not None for step in record["steps"]),
                "started": record["started"],
                "finished": record["finished"],
            }
            for record in records
        ]
    record = run_record(home, name)
    lines = []
    spent = {}
    if home.journal.exists():
        journal = Journal(home.journal)
        spent = journal.spent(name)
        journal.close()
    for step in record["steps"]:
        folder = home.steps / step["folder"]
        card = read_card(folder)
        keys = ("rows", "failed", "transient", "errors", "cost")
        begun = count_done_rows(folder)
        state = {"state": "done", **{key: card.get(key) for key in keys}} if card else None
        state = state or {"state": "begun" if begun else "to do", "rows": begun}
        lines.append(
            {
                "step": step["name"],
                "stage": step["stage"],
                "engine": step["engine"],
                "role": step.get("role"),
                **state,
                **_usage_of(spent, step),
            }
        )
    return lines


def _usage_of(spent: dict[tuple[str, str], Usage], step: dict[str, Any]) -> dict[str, int]:
    """The usage of a step over all attempts of the run, finished or not."""
    usage = spent.get((step["folder"], step["engine"] or ""), Usage())
    return {"asked": usage.asked, "recalled": usage.recalled, "tokens_in": usage.tokens_in, "tokens_out": usage.tokens_out}


def print_status(lines: list[dict[str, Any]]) -> None:
    """Print runs, or the steps of a run, one per line."""
    if not lines:
        console.print("no runs yet")
        return
    if "run" in lines[0]:
        table = make_grid("run", "recipe", "steps", "started", "finished")
        for line in lines:
            table.add_row(
                line["run"], line["recipe"], f"{line['done']} of {line['steps']}", line["started"], line["finished"] or "-"
            )
    else:
        numbers = ("rows", "asked", "tokens in", "out", "cost")
        table = make_grid("step", "role", "state", *numbers, "failed", right=numbers)
        for line in lines:
            worst = ", ".join(f"{count} {reason}" for reason, count in line.get("errors", {}).items())
            counts = [_number(line[key] or None) for key in ("rows", "asked", "tokens_in", "tokens_out")]
            table.add_row(line["step"], line["role"] or "", line["state"], *counts, _money(line.get("cost")), escape(worst))
    console.print(table)


def print_history(chapters: list[dict[str, Any]]) -> None:
    """Print a row's history, step by step."""
    for chapter in chapters:
        engine = f" by {chapter['engine']}" if chapter["engine"] else ""
        console.print(f"[bold]{chapter['step']}[/] [dim]{chapter['stage']}{escape(engine)}, row {escape(chapter['id'])}[/]")
        for key, value in chapter["values"].items():
            if value is not None:
                console.print(f"    {key}: {escape(_shorten(value))}")


def _shorten(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict) and "role" in value[0]:
        return " | ".join(f"{turn['role']}: {turn['content']}" for turn in value)
    if isinstance(value, list) and len(value) > 8 and all(isinstance(item, int | float) for item in value):
        return f"[{value[0]:.4g}, {value[1]:.4g}, ... {len(value)} numbers]"
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items() if item not in (None, []))
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def print_conversion(result: dict[str, Any]) -> None:
    """Print the result of a conversion: written rows, rejected rows and reasons."""
    console.print(f"{result['rows']:,} rows in {escape(result['target'])}", soft_wrap=True)
    if result["rejected"]:
        console.print(f"[yellow]{result['rejected']:,} rows set aside in {escape(result['aside'])}:[/]", soft_wrap=True)
        for reason, count in result["reasons"].items():
            console.print(f"  {count:>8,}  {escape(reason)}")


def print_findings(findings: list[dict[str, Any]]) -> None:
    """Print the doctor's findings."""
    table = make_grid("", "what", "")
    for finding in findings:
        table.add_row("[green]✓[/]" if finding["good"] else "[red]✗[/]", finding["what"], escape(finding["told"]))
    console.print(table)


def print_garbage(lines: list[dict[str, Any]], really: bool) -> None:
    """Print the steps that were, or would be, removed."""
    size = sum(line["bytes"] for line in lines) / 1e6
    for line in lines:
        console.print(escape(line["step"]))
    verb = "removed" if really else "would be removed (--really removes them)"
    console.print(f"{len(lines)} steps, {size:.1f} MB, {verb}")


def print_journal(stats: dict[str, Any]) -> None:
    """Print a journal's size, hits and failures."""
    asked, recalled = stats["asked"], stats["recalled"]
    share = f" ({recalled / (asked + recalled):.0%} of all requests)" if recalled else ""
    console.print(f"{stats['path']}: {stats['replies']:,} replies, {stats['bytes'] / 2**20:,.1f} MB", soft_wrap=True)
    console.print(f"requests {asked:,}, from the journal {recalled:,}{share}")
    for reason, count in stats["failures"].items():
        console.print(f"  {count:>7,} failed: {escape(reason)}", soft_wrap=True)


def print_repair(result: dict[str, Any]) -> None:
    """Print what a repair of the journal kept."""
    console.print(f"kept {result['kept']:,} replies, dropped {result['dropped']:,} rows or ranges of rows", soft_wrap=True)
    console.print(f"the damaged file is {result['aside']}", soft_wrap=True)


def print_batches(lines: list[dict[str, Any]]) -> None:
    """Print the batches at an API."""
    table = make_grid("batch", "status", "done", "failed", "of", right=("done", "failed", "of"))
    for line in lines:
        counts = line.get("request_counts") or {}
        table.add_row(
            str(line["id"]), str(line["status"]), *(f"{counts.get(key, 0):,}" for key in ("completed", "failed", "total"))
        )
    console.print(table if lines else "no batches")
