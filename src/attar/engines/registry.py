"""A Spec to an engine: the one place that names the kinds."""

from typing import Any

from attar.core.errors import EngineError, did_you_mean
from attar.engines.base import Spec

KINDS = ("http", "vllm", "sglang", "llamacpp", "batch", "local", "fake")


def open_engine(spec: Spec) -> Any:
    """The engine of a spec; nothing heavy is loaded before it is asked something."""
    match spec.kind:
        case "http":
            from attar.engines.http.engine import Http

            return Http(spec)
        case "vllm" | "sglang" | "llamacpp":
            from attar.engines.http.managed_server import Served

            return Served(spec)
        case "batch":
            from attar.engines.http.batch_api import Batch

            return Batch(spec)
        case "local":
            from attar.engines.local.engine import Local

            return Local(spec)
        case "fake":
            from attar.engines.fake import Fake

            return Fake(spec)
        case _:
            raise EngineError(f"unknown engine kind {spec.kind!r}; {did_you_mean(spec.kind, KINDS)}")
