"""Progress of a run: one live line for the running step, and one line for each completed step; or nothing (`Quiet`)."""

import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from attar.core.format import format_dollars, format_seconds
from attar.engines.journaling import Journaled
from attar.runtime.flow import Step

_LINE_SECONDS = 30.0


class Quiet:
    """Reports nothing."""

    def begin(self, step: Step, total: int | None, already: int, engine: Journaled | None) -> None:
        """Nothing."""

    def advance(self, done: int) -> None:
        """Nothing."""

    def end(self, step: Step, card: dict[str, Any], fresh: bool) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


def engine_status(engine: Journaled, seconds: float) -> str:
    """An engine's status: requests, tokens per second, requests in flight, failed tries by kind, cost so far."""
    now, price = engine.meter.now, engine.meter.price
    status = [f"{now.asked:,} asked"] if now.asked else []
    if now.tokens:
        status.append(f"{now.tokens_out / max(1e-3, seconds):,.0f} tok/s")
    if engine.in_flight:
        status.append(f"{engine.in_flight} in flight")
    status += [f"{count} {kind}" for kind, count in engine.errors.most_common(3)]
    if price:
        status.append(format_dollars(engine.meter.total.cost))
    return ", ".join(status)


class _EngineColumn(ProgressColumn):
    """The engine's status, updated at every refresh."""

    def render(self, task: Task) -> Text:
        """The status now."""
        engine = task.fields["engine"]
        return Text(engine_status(engine, task.elapsed or 0.0) if engine else "", style="dim")


class Live:
    """A progress bar for the running step on a terminal; plain lines elsewhere."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.steps = 0
        self.recalled_steps = 0
        self._bar: Progress | None = None
        self._task: Any = None
        self._step = ""
        self._done = 0
        self._total: int | None = None
        self._engine: Journaled | None = None
        self._start_clock()

    def _start_clock(self) -> None:
        self._started = time.monotonic()
        self._last_line = self._started

    def begin(self, step: Step, total: int | None, already: int, engine: Journaled | None) -> None:
        """Open the step's progress bar."""
        self._start_clock()
        self._step = step.name
        self._done = already
        self._total = total
        self._engine = engine
        if not self.console.is_terminal:
            return
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<16}"),
            BarColumn(20),
            MofNCompleteColumn(),
            _EngineColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            console=self.console,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(step.name, total=total, completed=already, engine=engine)

    def advance(self, done: int) -> None:
        """Move the bar; without a terminal, print a line every 30 seconds."""
        self._done += done
        now = time.monotonic()
        if self._bar:
            self._bar.update(self._task, advance=done)
        elif self._total and now - self._last_line > _LINE_SECONDS:
            self._last_line = now
            status = engine_status(self._engine, now - self._started) if self._engine else ""
            left = (self._total - self._done) * (now - self._started) / max(1, self._done)
            self.console.print(
                f"   {self._step:<16} {self._done:>9,} of {self._total:,} rows, {format_seconds(left)} left   {status}"
            )

    def end(self, step: Step, card: dict[str, Any], fresh: bool) -> None:
        """Close the bar; leave one line."""
        self._close()
        if not fresh:
            self.recalled_steps += 1
            self.console.print(f"[dim]·  {step.name:<16} {card['rows']:>9,} rows   kept from before[/]")
            return
        self.steps += 1
        transient = f", {card['transient']:,} for reasons that pass" if card.get("transient") else ""
        failed = f"   [yellow]{card['failed']:,} failed{transient}[/]" if card["failed"] else ""
        asked = f"   {card['asked']:,} asked" if card["asked"] else ""
        recalled = f"   {card['recalled']:,} from the journal" if card["recalled"] else ""
        cost = f"   {format_dollars(card['cost'])}" if card.get("cost") else ""
        took = f"   {format_seconds(card['seconds']):>8}"
        self.console.print(f"[green]✓[/]  {step.name:<16} {card['rows']:>9,} rows{took}{asked}{recalled}{cost}{failed}")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.console.print(f"[yellow]{text}[/]")

    def _close(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def stop(self) -> None:
        """Close the bar and leave the terminal as it was."""
        self._close()
        sys.stderr.flush()
