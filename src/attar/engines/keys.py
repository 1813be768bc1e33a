"""API keys: never in a file, a log or an error. A run file names the environment variable that holds the key.

Errors and logs are masked for every key of six characters or more. A reply is stored unchanged unless it contains a real
secret: vLLM's usual key is EMPTY, and "An EMPTY list" is an answer.
"""

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from attar.core.errors import EngineError

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PREFIXES = ("sk-", "sk_", "hf_", "gsk_", "AIza", "xai-", "nvapi-", "r8_", "tgp_", "fw_", "pplx-", "Bearer ", "ghp_", "glpat-")
_OPTION_NAMES = re.compile(r"(api|access|secret|auth)[-_]?(key|token)|authorization|password|secret", re.IGNORECASE)
_LONG = 16
_SHORTEST_MASKED = 6
"""Letters of a key that is masked in errors: a shorter one is a placeholder, and part of ordinary words."""
_PLACEHOLDERS = ("", "EMPTY", "NONE", "NULL", "TOKEN", "DUMMY")


def looks_like_key(text: str) -> bool:
    """True for a long random text, as keys are; not for a name, a path or a sentence."""
    start = next((prefix for prefix in _PREFIXES if text.startswith(prefix)), None)
    if start is not None and len(text) >= len(start) + 8 and " " not in text[len(start) :]:
        return True
    if len(text) < 2 * _LONG - 8 or not re.fullmatch(r"[\w.+/=-]+", text) or "/" in text[:2]:
        return False
    return len(set(text)) >= _LONG // 2 and bool(re.search(r"[a-zA-Z]", text)) and len(re.findall(r"\d", text)) >= 4


def is_secret(key: str) -> bool:
    """True for a key that no text would hold by chance."""
    return looks_like_key(key) or (len(key) >= _LONG and len(set(key)) >= _LONG // 2 and not key.isalpha())


def mask(text: str, key: str) -> str:
    """An error or a log line without the key, whether plain, escaped as in JSON or a url, or truncated at the end."""
    if len(key) < _SHORTEST_MASKED:
        return text
    text = mask_whole(text, key)
    for size in range(len(key) - 1, 7, -1):
        if text.endswith(key[:size]):
            return f"{text[:-size]}***"
    return text


def mask_whole(text: str, key: str) -> str:
    """A text without the key, whether plain or escaped; the start of a key at its end stays."""
    text = text.replace(key, "***")
    return _pattern(key).sub("***", text) if "\\" in text or "%" in text else text


@lru_cache(maxsize=64)
def _pattern(key: str) -> re.Pattern[str]:
    def forms(letter: str) -> str:
        code = f"{ord(letter):04x}"
        digits = "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in code)
        return f"(?:{re.escape(letter)}|\\\\+u{digits}|\\\\+{re.escape(letter)}|%{ord(letter):02X}|%{ord(letter):02x})"

    return re.compile("".join(map(forms, key)))


def read_key(option: str, where: str) -> str:
    """The key in an environment variable; "" if none is named."""
    if not option:
        return ""
    check_variable(option, where)
    key = os.environ.get(option, "").strip()
    if not key:
        raise EngineError(f"{where}: the environment variable {option} is not set; it holds the key")
    if not (key.isascii() and key.isprintable()):
        raise EngineError(f"{where}: the value of {option} is not a key: it has characters that an HTTP header cannot contain")
    return key


def check_variable(option: str, where: str) -> None:
    """Raise unless `key_env` can be a variable's name; the message never shows its value, which may be a key."""
    unset = option not in os.environ
    if not _VARIABLE.fullmatch(option) or (unset and looks_like_key(option)):
        raise EngineError(
            f"{where}: key_env must be the name of an environment variable, such as MY_KEY, not a key "
            f"({len(option)} characters, not shown)"
        )


def refuse_keys(options: Mapping[str, Any], where: str) -> None:
    """Raise if an option contains a key, because options are stored with the run. The message does not show it."""
    if isinstance(name := options.get("key_env"), str):
        check_variable(name, where)
    if isinstance(url := options.get("url"), str) and re.search(r"//[^/]*@|[?#]", url):
        raise EngineError(
            f"{where}: the url has a user, a ? or a # in it (not shown), which no call would carry, and a key in a url would "
            "end up in files: name the environment variable with key_env"
        )
    for path, name, value in _texts({part: options[part] for part in ("server", "extra", "command") if part in options}):
        named_like_key = _OPTION_NAMES.search(name) and value.upper() not in _PLACEHOLDERS
        if named_like_key or any(looks_like_key(word) for word in re.split(r"[\s,;=]+", value)):
            raise EngineError(
                f"{where}: the option {path} holds what looks like a key (not shown), which would end up in files; name the "
                "environment variable that holds it with key_env, or set it in the server's own environment"
            )


def _texts(value: Any, path: str = "", name: str = "") -> Iterator[tuple[str, str, str]]:
    """Every text in a nested value, with its path and the key next to it."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{path}.{key}" if path else str(key), str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, path, name)
    elif isinstance(value, str):
        yield path, name, value
