"""How results look on a terminal."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from attar.core.format import format_dollars, format_seconds
from attar.engines.journal import Journal
from attar.engines.meter import Usage
from attar.runtime.home import Home, count_done_rows, read_card, run_record
from attar.runtime.plan import Estimate

_console = Console(highlight=False, emoji=False)


def make_grid(*columns: str, right: tuple[str, ...] = ()) -> Grid:
    """A table; columns named in `right` hold numbers."""
    made = Grid(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        name = column in ("stage", "engine", "step")
        made.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="ellipsis" if name else "fold",
            no_wrap=column in right,  # half a number is worse than none: names make room for it
        )
    return made


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else format_seconds(seconds)


def _money(value: float | None) -> str:
    return "" if value is None else format_dollars(value)


def print_recipes(lines: list[dict[str, Any]]) -> None:
    """Every recipe with its roles and knobs."""
    for line in lines:
        _console.print(f"[bold]{line['recipe']}[/]  {line['paper'] or ''}\n  {escape(line['about'])}")
        _console.print("  engines: " + ", ".join(f"{role} ({need})" for role, need in line["roles"].items()))
        _console.print("  knobs:   " + escape(", ".join(f"{knob}={default!r}" for knob, default in line["knobs"].items())))


def print_filters(lines: list[dict[str, Any]]) -> None:
    """Every filter with its rule, and what it ranks by."""
    for line in lines:
        _console.print(f"[bold]{line['filter']}[/]  {escape(line['about'])}; keeps {line['size']:,}", highlight=False)
        _console.print(f"  rule: {escape(line['rule'])}", soft_wrap=True)
        strata = f", half of them each by: {line['per']}" if line["per"] else ""
        _console.print(f"  by:   {escape(line['by'] or 'chance')}{escape(strata)}", soft_wrap=True)


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
    """A plan, and its sums."""
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
    _console.print(table)
    todo = [line for line in lines if not line["done"]]
    known = sum(line["seconds"] or 0 for line in todo)
    unknown = sum(line["seconds"] is None for line in todo)
    open_ends = f", and {unknown} steps whose time shows only once a model is trained" if unknown else ""
    took = f"{_time(known)} at most, by the probe (which keeps fewer rows in flight)"
    _console.print(f"\n{len(todo)} of {len(lines)} steps to do: {took}{open_ends}")
    if costs := [line["cost"] for line in todo if line["cost"] is not None]:
        unpriced = sorted({line["engine"] for line in todo if line["calls"] and line["cost"] is None})
        told = f"; no price is known for {', '.join(unpriced)}" if unpriced else ""
        _console.print(f"cost: {_money(sum(costs))}{told}")


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
    lines, record, spent = [], run_record(home, name), {}
    if home.journal.exists():
        journal = Journal(home.journal)
        spent = journal.spent(name)
        journal.close()
    for step in record["steps"]:
        folder = home.steps / step["folder"]
        found = read_card(folder)
        keys = ("rows", "failed", "errors", "cost")
        begun = count_done_rows(folder)
        state = {"state": "done", **{key: found.get(key) for key in keys}} if found else None
        state = state or {"state": "begun" if begun else "to do", "rows": begun}
        lines.append(
            {
                "step": step["name"],
                "stage": step["stage"],
                "engine": step["engine"],
                "role": step.get("role"),
                **state,
                **_spent_of(spent, step),
            }
        )
    return lines


def _spent_of(spent: dict[tuple[str, str], Usage], step: dict[str, Any]) -> dict[str, int]:
    """What a step has taken in all tries of the run, finished or not."""
    found = spent.get((step["folder"], step["engine"] or ""), Usage())
    return {"asked": found.asked, "recalled": found.recalled, "tokens_in": found.tokens_in, "tokens_out": found.tokens_out}


def print_status(lines: list[dict[str, Any]]) -> None:
    """Runs or steps, a line each."""
    if not lines:
        _console.print("no runs yet")
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
    _console.print(table)


def print_history(chapters: list[dict[str, Any]]) -> None:
    """A row's chapters."""
    for chapter in chapters:
        engine = f" by {chapter['engine']}" if chapter["engine"] else ""
        _console.print(f"[bold]{chapter['step']}[/] [dim]{chapter['stage']}{escape(engine)}, row {escape(chapter['id'])}[/]")
        for key, value in chapter["values"].items():
            if value is not None:
                _console.print(f"    {key}: {escape(_shorten(value))}")


def _shorten(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict) and "role" in value[0]:
        return " | ".join(f"{turn['role']}: {turn['content']}" for turn in value)
    if isinstance(value, list) and len(value) > 8 and all(isinstance(item, int | float) for item in value):
        return f"[{value[0]:.4g}, {value[1]:.4g}, ... {len(value)} numbers]"
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items() if item not in (None, []))
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def print_conversion(found: dict[str, Any]) -> None:
    """What a conversion made, and what it set aside."""
    _console.print(f"{found['rows']:,} rows in {escape(found['target'])}", soft_wrap=True)
    if found["rejected"]:
        _console.print(f"[yellow]{found['rejected']:,} rows set aside in {escape(found['aside'])}:[/]", soft_wrap=True)
        for reason, count in found["reasons"].items():
            _console.print(f"  {count:>8,}  {escape(reason)}")


def print_findings(findings: list[dict[str, Any]]) -> None:
    """What the doctor found."""
    table = make_grid("", "what", "")
    for finding in findings:
        table.add_row("[green]✓[/]" if finding["good"] else "[red]✗[/]", finding["what"], escape(finding["told"]))
    _console.print(table)


def print_garbage(lines: list[dict[str, Any]], really: bool) -> None:
    """What was, or would be, removed."""
    size = sum(line["bytes"] for line in lines) / 1e6
    for line in lines:
        _console.print(escape(line["step"]))
    verb = "removed" if really else "would be removed (--really removes them)"
    _console.print(f"{len(lines)} steps, {size:.1f} MB, {verb}")


def print_journal(told: dict[str, Any]) -> None:
    """A journal's size, hits and failures."""
    asked, recalled = told["asked"], told["recalled"]
    share = f" ({recalled / (asked + recalled):.0%} of all that was wanted)" if recalled else ""
    _console.print(f"{told['path']}: {told['replies']:,} replies, {told['bytes'] / 2**20:,.1f} MB", soft_wrap=True)
    _console.print(f"asked {asked:,}, spared {recalled:,}{share}")
    for reason, count in told["failures"].items():
        _console.print(f"  {count:>7,} failed: {escape(reason)}", soft_wrap=True)


def print_repair(result: dict[str, Any]) -> None:
    """What a repair of the journal kept."""
    _console.print(f"kept {result['kept']:,} replies, dropped {result['dropped']:,} rows or ranges of rows", soft_wrap=True)
    _console.print(f"the damaged file is {result['aside']}", soft_wrap=True)


def print_batches(lines: list[dict[str, Any]]) -> None:
    """The batches at an API."""
    table = make_grid("batch", "status", "done", "failed", "of", right=("done", "failed", "of"))
    for line in lines:
        counts = line.get("request_counts") or {}
        table.add_row(
            str(line["id"]), str(line["status"]), *(f"{counts.get(key, 0):,}" for key in ("completed", "failed", "total"))
        )
    _console.print(table if lines else "no batches")
