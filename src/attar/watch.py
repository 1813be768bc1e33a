"""How a run looks to a person: one live line for the step at work, one line for each that is done; or nothing."""

import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from attar.flow import Step


class Quiet:
    """Says nothing."""

    def begin(self, step: Step, total: int | None, already: int) -> None:
        """Nothing."""

    def advance(self, done: int, replies: int, tokens: int) -> None:
        """Nothing."""

    def end(self, step: Step, card: dict[str, Any], fresh: bool) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


class Live:
    """A bar for the step at work on a terminal; plain lines elsewhere."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.steps, self.recalled_steps = 0, 0
        self._bar: Progress | None = None
        self._task: Any = None
        self._since = time.monotonic()

    def begin(self, step: Step, total: int | None, already: int) -> None:
        """Open the step's bar."""
        self._since = time.monotonic()
        if not self.console.is_terminal:
            return
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<16}"),
            BarColumn(28),
            MofNCompleteColumn(),
            TextColumn("[dim]{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            console=self.console,
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(step.name, total=total, completed=already, rate="")

    def advance(self, done: int, replies: int, tokens: int) -> None:
        """Move the bar."""
        if self._bar:
            rate = f"{tokens / max(1e-3, time.monotonic() - self._since):,.0f} tok/s" if tokens else ""
            self._bar.update(self._task, advance=done, rate=rate)

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
        self.console.print(
            f"[green]✓[/]  {step.name:<16} {card['rows']:>9,} rows   {card['seconds']:>6.1f} s{asked}{recalled}{failed}"
        )

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
