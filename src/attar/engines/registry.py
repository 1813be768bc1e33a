"""The kinds of engines. One entry per kind: how it opens, what it can do, what it costs.

A custom kind is a `Kind` in a Python file that the run file names: `kind: echo.py` (or `echo.py:NAME`).
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
    """The verbs that engines of this kind support; a given model may support fewer."""
    template: bool = False
    """True if the engine has `template`, the chat template of its model."""
    ahead: int = 1
    """How many parts of a step may run at once, so that the end of one does not leave the engine idle."""
    shard: int = 1000
    """Rows per part, unless the run sets it."""
    reports: bool = False
    """True if the engine has `in_flight` and `errors`, for the progress line."""
    throttles: bool = False
    """True if the engine has `careful`: set when a limit counts requests, so that it takes only what it can send."""
    batches: bool = False
    """True if requests are sent in batches: the engine has `journal`, and `list_batches` and `cancel` for `attar batches`."""
    billed: bool = True
    """True if replies may cost money: a cost limit then needs a price."""
    price_share: float = 1.0
    """The price as a share of the price in the table."""
    trainable_as: Literal["transformers"] | None = None
    """The format of the model's weights on this machine, for training; None if there are none."""
    in_process: bool = False
    """True if the model runs in this process, so that its tokenizer is available before the first request."""
    examined_by: Literal["verbs", "local", "server"] = "verbs"
    """Which checks `attar doctor` runs."""
    version: str | None = None
    """Part of the engines' identity: replies of another version are not replayed. By default a custom kind's code hash."""


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
        shard=5_000,  # requests in one batch
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
    """The engine of a spec; nothing heavy is loaded before its first request."""
    kind = kind_of(spec)
    engine = kind.open(spec)
    extra = [
        name for name, needed in (("template", kind.template), ("errors", kind.reports), ("in_flight", kind.reports)) if needed
    ]
    for name in ("spec", "identity", "close", *kind.verbs, *extra):
        if name not in dir(engine):  # do not read properties: that may start a server
            raise EngineError(
                f"{spec.kind} engine {spec.model}: {type(engine).__name__} has no {name!r}, which its Kind promises"
            )
    _log.debug("opened %s engine %s", spec.kind, spec.model)
    return engine


def identity_of(engine: Any) -> str:
    """Everything that determines an engine's replies: its own identity and, for a custom kind, the version."""
    version = kind_of(engine.spec).version
    identity = engine.identity()
    return identity if version is None else fingerprint("kind", version, identity)


def register(name: str, kind: Kind) -> None:
    """Add a kind for this process, for example in a notebook; a taken name is refused."""
    if name in KINDS:
        raise EngineError(f"engine kind {name!r} already exists")
    _check_verbs(name, kind)
    KINDS[name] = _with_version(kind)


def find_kind(name: str, beside: Path) -> str:
    """A kind's name for a spec; a file becomes its full path, looked up beside the run file or from the current folder."""
    file, kind_name = split_name(name)
    if not file.endswith(".py"):
        return name
    path = next((place for place in (beside / file, Path(file)) if place.is_file()), None)
    if path is None:
        raise EngineError(f"the file {file} of an engine kind does not exist")
    return f"{path.resolve()}{':' if kind_name else ''}{kind_name}"


@cache
def _kind_in(name: str) -> Kind:
    """The kind in a Python file."""
    file, kind_name = split_name(name)
    kinds = {key: value for key, value in vars(import_file(Path(file), "engine")).items() if isinstance(value, Kind)}
    if kind_name and kind_name not in kinds:
        raise EngineError(f"{file} has no engine kind {kind_name!r}; {did_you_mean(kind_name, kinds)}")
    if not kind_name and len(kinds) != 1:
        raise EngineError(
            f"{file} has {len(kinds)} engine kinds ({', '.join(kinds) or 'none is a Kind'}); name one as {file}:NAME"
        )
    kind = kinds[kind_name or next(iter(kinds))]
    _check_verbs(file, kind)
    return _with_version(kind)


def _check_verbs(where: str, kind: Kind) -> None:
    """Raise for a verb that no engine has; `write` was the name of `generate` in earlier versions."""
    known = get_args(Verb)
    for verb in kind.verbs:
        if verb not in known:
            remedy = "it is called 'generate' now: rename the method too" if verb == "write" else did_you_mean(verb, known)
            raise EngineError(f"{where}: unknown verb {verb!r} in a Kind's verbs; {remedy}")


def _with_version(kind: Kind) -> Kind:
    """The kind with its own version, or with a hash of its file's code."""
    if kind.version is not None:
        return kind
    file = getattr(inspect.getmodule(kind.open), "__file__", None)
    if file is None:
        raise EngineError("an engine kind that is not defined in a file needs a `version`: change it when the code changes")
    return replace(kind, version=fingerprint(code_of_module(Path(file))))
