"""Check an engine before a run: what it can do, how it handles a Magpie prefix, and how fast it is."""

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
    """The result of one check."""

    what: str
    good: bool
    told: str
    needed: bool = True
    """True if an engine that fails this check cannot be used at all."""


def examine(spec: Spec, rows: int = 64) -> Iterator[Finding]:
    """Run every check that fits an engine; stop if its server cannot be reached."""
    engine = open_engine(spec)
    by = kind_of(spec).examined_by
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
