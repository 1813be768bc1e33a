"""Look an engine over before a run leans on it: what it can do, what a Magpie prefix is to it, how fast it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from attar.core.errors import AttarError
from attar.engines.base import Spec
from attar.engines.doctor import local, server, verbs
from attar.engines.registry import identity_of, kind_of, open_engine

_CHECKS: dict[str, Callable[[Any, int], Iterator[verbs.Check]]] = {
    "verbs": verbs.checks,
    "local": local.checks,
    "server": server.checks,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried."""

    what: str
    good: bool
    told: str
    needed: bool = True
    """Whether an engine that cannot do this is of no use at all."""


def examine(spec: Spec, rows: int = 64) -> Iterator[Finding]:
    """Try everything that an engine may be asked; where a server cannot be reached there is nothing more to try."""
    engine, by = open_engine(spec), kind_of(spec).examined_by
    try:
        yield _try("identity", lambda: identity_of(engine))
        for what, check in _CHECKS[by](engine, rows):
            finding = _try(what, check, needed=by != "server" or what == server.FIRST)
            yield finding
            if what == server.FIRST and not finding.good:
                return
    finally:
        engine.close()


def _try(what: str, check: Callable[[], str], *, needed: bool = True) -> Finding:
    try:
        return Finding(what, True, check(), needed)
    except AttarError as error:
        return Finding(what, False, str(error), needed)
