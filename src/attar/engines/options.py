"""Check an engine's options against a TypedDict; an error is one line that names the wrong key and the reason."""

from typing import Any, get_type_hints

from attar.core.errors import EngineError, did_you_mean
from attar.engines.base import Spec
from attar.engines.keys import refuse_keys


def check_options(spec: Spec, kinds: Any) -> dict[str, Any]:
    """The options of a spec; raises if they do not match the engine's TypedDict."""
    from pydantic import TypeAdapter, ValidationError

    refuse_keys(spec.options, title(spec))
    known = sorted(get_type_hints(kinds))
    for name in spec.options:
        if name in ("key", "api_key", "token"):
            raise EngineError(f"{title(spec)}: API keys do not belong in files; name the environment variable with key_env")
        if name not in known:
            raise EngineError(f"{title(spec)}: unknown option {name!r}; {did_you_mean(str(name), known)}")
    try:
        return dict(TypeAdapter(kinds).validate_python(dict(spec.options), strict=True))
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "missing":
            raise EngineError(f"{title(spec)}: the option {first['loc'][0]!r} is missing") from None
        place = "".join(f"[{step!r}]" for step in first["loc"][1:])
        what = f"option {first['loc'][0]!r}{place} is {first['input']!r}"
        raise EngineError(f"{title(spec)}: {what}: {first['msg'][0].lower()}{first['msg'][1:]}") from None


def title(spec: Spec) -> str:
    """The engine's name in messages."""
    return f"{spec.kind} engine {spec.model}"
