"""The kinds of engines. One entry says all that the rest of Attar asks of a kind: how it opens, what it can do, what it costs.

A kind of your own is a `Kind` in a Python file, and a run file names that file: `kind: echo.py` (or `echo.py:NAME`).
"""

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from attar.core.errors import EngineError, did_you_mean
from attar.core.fingerprint import fingerprint
from attar.core.python_files import import_file, split_name
from attar.core.source import code_of_module
from attar.engines.base import Spec

_log = logging.getLogger(__name__)

Verb = Literal["generate", "weigh", "embed", "reward"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of engine; only `open` is needed."""

    open: Callable[[Spec], Any]
    verbs: tuple[Verb, ...] = ("generate", "weigh", "embed", "reward")
    """What an engine of this kind may be asked; the model may know less."""
    template: bool = False
    """It has `template`, the chat template of its model."""
    ahead: int = 1
    """How many parts of a step may be under way at once, so that the end of one does not leave the engine idle."""
    shard: int = 1000
    """Rows of a part, unless the run says otherwise."""
    reports: bool = False
    """It has `in_flight` and `errors`, for the progress line."""
    throttles: bool = False
    """It has `careful`: set where a limit counts what it takes, so that it takes only what it can send at once."""
    batches: bool = False
    """Its requests go out in batches: it has `journal`, where it keeps which, and `listed` and `cancel` for `attar batches`."""
    billed: bool = True
    """Its replies may cost money: a limit on cost needs its price."""
    price_share: float = 1.0
    """What it costs, of the price in a table."""
    trainable_as: Literal["transformers"] | None = None
    """The format in which its model's weights are at hand, for a training to start from; None where they are not."""
    in_process: bool = False
    """Its model runs in this process, and its tokenizer is at hand before anything is asked."""
    examined_by: Literal["verbs", "local", "server"] = "verbs"
    """How `attar doctor` looks it over."""
    version: str | None = None
    """Part of its engines' identity: replies of another version are not replayed. Of a kind of yours its code, if not given."""


def _open_http(spec: Spec) -> Any:
    from attar.engines.http.engine import Http

    return Http(spec)


def _open_managed(spec: Spec) -> Any:
    from attar.engines.http.managed_server import ManagedServer

    return ManagedServer(spec)


def _open_batch(spec: Spec) -> Any:
    from attar.engines.http.batch_api import BatchEngine

    return BatchEngine(spec)


def _open_local(spec: Spec) -> Any:
    from attar.engines.local.engine import Local

    return Local(spec)


def _open_fake(spec: Spec) -> Any:
    from attar.engines.fake import Fake

    return Fake(spec)


_HTTP = Kind(open=_open_http, template=True, ahead=4, reports=True, throttles=True, examined_by="server")
_SERVED = replace(_HTTP, open=_open_managed)
KINDS: dict[str, Kind] = {
    "http": _HTTP,
    "vllm": replace(_SERVED, trainable_as="transformers"),
    "sglang": replace(_SERVED, trainable_as="transformers"),
    "llamacpp": _SERVED,
    "batch": Kind(
        open=_open_batch,
        verbs=("generate", "embed"),
        template=True,
        ahead=16,
        shard=5_000,  # so many go in one batch
        reports=True,
        batches=True,
        price_share=0.5,
        examined_by="server",
    ),
    "local": Kind(
        open=_open_local, template=True, billed=False, trainable_as="transformers", in_process=True, examined_by="local"
    ),
    "fake": Kind(open=_open_fake, template=True, billed=False),
}


def kind_of(spec: Spec) -> Kind:
    """The entry of a spec's kind."""
    if split_name(spec.kind)[0].endswith(".py"):
        return _kind_in(spec.kind)
    if spec.kind not in KINDS:
        raise EngineError(
            f"unknown engine kind {spec.kind!r}; {did_you_mean(spec.kind, KINDS)} (your own: the path of its .py file)"
        )
    return KINDS[spec.kind]


def open_engine(spec: Spec) -> Any:
    """The engine of a spec; nothing heavy is loaded before it is asked something."""
    kind = kind_of(spec)
    engine = kind.open(spec)
    extra = [
        name for name, needed in (("template", kind.template), ("errors", kind.reports), ("in_flight", kind.reports)) if needed
    ]
    for name in ("spec", "identity", "close", *kind.verbs, *extra):
        if name not in dir(engine):  # a property is not read: that may start a server
            raise EngineError(
                f"{spec.kind} engine {spec.model}: {type(engine).__name__} has no {name!r}, which its Kind promises"
            )
    _log.debug("opened %s engine %s", spec.kind, spec.model)
    return engine


def identity_of(engine: Any) -> str:
    """All that decides an engine's answers: what it says itself, and of a kind of the user's its version."""
    version, own = kind_of(engine.spec).version, engine.identity()
    return own if version is None else fingerprint("kind", version, own)


def register(name: str, kind: Kind) -> None:
    """Add a kind for this process, as a notebook may; a name that is taken is refused."""
    if name in KINDS:
        raise EngineError(f"there is an engine kind {name!r} already")
    _check_verbs(name, kind)
    KINDS[name] = _with_version(kind)


def find_kind(name: str, beside: Path) -> str:
    """A kind's name as a spec has it: of a file, seen from a folder or from here, the full path."""
    file, wanted = split_name(name)
    if not file.endswith(".py"):
        return name
    path = next((place for place in (beside / file, Path(file)) if place.is_file()), None)
    if path is None:
        raise EngineError(f"the file {file} of an engine kind does not exist")
    return f"{path.resolve()}{':' if wanted else ''}{wanted}"


@cache
def _kind_in(name: str) -> Kind:
    """The kind in a user's file."""
    file, wanted = split_name(name)
    kinds = {key: value for key, value in vars(import_file(Path(file), "engine")).items() if isinstance(value, Kind)}
    if wanted and wanted not in kinds:
        raise EngineError(f"{file} has no engine kind {wanted!r}; {did_you_mean(wanted, kinds)}")
    if not wanted and len(kinds) != 1:
        raise EngineError(
            f"{file} has {len(kinds)} engine kinds ({', '.join(kinds) or 'none is a Kind'}); name one as {file}:NAME"
        )
    kind = kinds[wanted or next(iter(kinds))]
    _check_verbs(file, kind)
    return _with_version(kind)


def _check_verbs(where: str, kind: Kind) -> None:
    """Refuse a user's verb that no engine has; `write` is the name that `generate` had in earlier versions."""
    known = get_args(Verb)
    for verb in kind.verbs:
        if verb not in known:
            remedy = "it is called 'generate' now: rename the method too" if verb == "write" else did_you_mean(verb, known)
            raise EngineError(f"{where}: unknown verb {verb!r} in a Kind's verbs; {remedy}")


def _with_version(kind: Kind) -> Kind:
    """The user's kind with its stated version, or with a hash of its file's code."""
    if kind.version is not None:
        return kind
    file = getattr(inspect.getmodule(kind.open), "__file__", None)
    if file is None:
        raise EngineError("an engine kind whose code is in no file needs a `version`: change it when the code changes")
    return replace(kind, version=fingerprint(code_of_module(Path(file))))
