"""How a run looks to a person: one live line for the step at work, one line for each that is done; or nothing."""

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
    """Says nothing."""

    def begin(self, step: Step, total: int | None, already: int, engine: Journaled | None) -> None:
        """Nothing."""

    def advance(self, done: int) -> None:
        """Nothing."""

    def end(self, step: Step, card: dict[str, Any], fresh: bool) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


def engine_status(engine: Journaled, seconds: float) -> str:
    """How an engine is doing: tokens a second, in flight, failed tries by kind, cost so far."""
    now, price = engine.meter.now, engine.meter.price
    told = [f"{now.asked:,} asked"] if now.asked else []
    if now.tokens:
        told.append(f"{now.tokens_out / max(1e-3, seconds):,.0f} tok/s")
    if engine.in_flight:
        told.append(f"{engine.in_flight} in flight")
    told += [f"{count} {kind}" for kind, count in engine.errors.most_common(3)]
    if price:
        told.append(format_dollars(engine.meter.total.cost))
    return ", ".join(told)


class _EngineColumn(ProgressColumn):
    """The engine's pulse, looked up at every refresh."""

    def render(self, task: Task) -> Text:
        """As it is now."""
        engine = task.fields["engine"]
        return Text(engine_status(engine, task.elapsed or 0.0) if engine else "", style="dim")


class Live:
    """A bar for the step at work on a terminal; plain lines elsewhere."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.steps, self.recalled_steps = 0, 0
        self._bar: Progress | None = None
        self._task: Any = None
        self._step, self._done, self._total, self._engine = "", 0, None, None
        self._since = self._told = time.monotonic()

    def begin(self, step: Step, total: int | None, already: int, engine: Journaled | None) -> None:
        """Open the step's bar."""
        self._since = self._told = time.monotonic()
        self._step, self._done, self._total, self._engine = step.name, already, total, engine
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
        """Move the bar; without a terminal, a line now and then."""
        self._done += done
        now = time.monotonic()
        if self._bar:
            self._bar.update(self._task, advance=done)
        elif self._total and now - self._told > _LINE_SECONDS:
            self._told = now
            told = engine_status(self._engine, now - self._since) if self._engine else ""
            left = (self._total - self._done) * (now - self._since) / max(1, self._done)
            self.console.print(
                f"   {self._step:<16} {self._done:>9,} of {self._total:,} rows, {format_seconds(left)} left   {told}"
            )

    def end(self, step: Step, card: dict[str, Any], fresh: bool) -> None:
        """Close the bar; leave one line."""
        self._close()
        if not fresh:
            self.recalled_steps += 1
            self.console.print(f"[dim]·  {step.name:<16} {card['rows']:>9,} rows   kept from before[/]")
            return
        self.steps += 1
        failed = f"   [yellow]{card['failed']:,} failed[/]" if card["failed"] else ""
        asked = f"   {card['asked']:,} asked" if card["asked"] else ""
        recalled = f"   {card['recalled']:,} from the journal" if card["recalled"] else ""
        cost = f"   {format_dollars(card['cost'])}" if card.get("cost") else ""
        took = f"   {format_seconds(card['seconds']):>8}"
        self.console.print(f"[green]✓[/]  {step.name:<16} {card['rows']:>9,} rows{took}{asked}{recalled}{cost}{failed}")

    def say(self, text: str) -> None:
        """A line beside the bar."""
        self.console.print(f"[yellow]{text}[/]")

    def _close(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self._close()
        sys.stderr.flush()
