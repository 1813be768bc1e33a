"""Redact what must not leave the machine with a dataset: secrets, paths and private addresses."""

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yarl import URL

_SECRET = frozenset(("key", "apikey", "token", "secret", "password", "passwd", "authorization", "cookie", "credentials"))
_LOCAL = frozenset(("env", "ca", "command"))  # options that only make sense on this machine
_TOKEN = re.compile(r"\b(?:hf_|sk-|gsk_|ghp_|xai-|AKIA|AIza)[\w-]{12,}|\b[Bb]earer\s+[\w.~+/-]{8,}=*")
_URL = re.compile(r"\b[a-z]+://[^\s'\"<>)\]]+")
_PATH_IN_TEXT = re.compile(r"(?<![\w.:/<])(?:~|\.{1,2})?(?:/[\w.@+~-]+){2,}/?")
_COMMON_ROOTS = "home|Users|root|srv|mnt|media|data|opt|tmp|var|scratch|work|workspace|content|nfs|gpfs|lustre|shared"
_ROOTED = re.compile(rf"(?<![\w.:/<])/(?:{_COMMON_ROOTS})(?:/[\w.@+~-]+)+/?")
_WHOLE_PATH = re.compile(r"(?:(?:~|\.{1,2})?/|[A-Za-z]:\\|~$|\.{1,2}$)\S*")
HIDDEN = "(hidden)"


def redact_model(name: str) -> str:
    """The public name of a model: of a local folder only the last part."""
    if name.startswith("pocket:") or not (_WHOLE_PATH.fullmatch(name) or os.path.exists(os.path.expanduser(name))):
        return _redact_text(name)
    return _redact_text(_last_part(name))


def redact_value(value: Any) -> Any:
    """Knobs and options without secrets and private addresses; of paths only the last part."""
    if isinstance(value, Mapping):
        return {
            str(key): redact_value(item) for key, item in value.items() if not _is_secret(str(key)) and str(key) not in _LOCAL
        }
    if isinstance(value, list | tuple):
        return [redact_value(item) for item in value]
    if isinstance(value, str | Path):
        return _redact_string(str(value))
    return value


def _redact_string(text: str) -> str:
    if _WHOLE_PATH.match(text) and (
        (_WHOLE_PATH.fullmatch(text) and "/" in text[1:]) or os.path.exists(os.path.expanduser(text))
    ):
        return _last_part(text)
    for place in sorted({str(Path.home()), str(Path.cwd())}, key=len, reverse=True):
        text = text.replace(f"{place}/", "") if len(place) > 1 else text
    return _redact_text(_ROOTED.sub(lambda match: _last_part(match[0]), text))


def _last_part(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _is_secret(key: str) -> bool:
    return re.split(r"[_-]", key.lower())[-1] in _SECRET


def redact_message(text: str) -> str:
    """A message, such as an error, without secrets; of paths only the last part."""
    kept: list[str] = []

    def aside(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"\0{len(kept) - 1}\0"

    bare = _PATH_IN_TEXT.sub(lambda match: _last_part(match[0]), _URL.sub(aside, text))
    return _redact_text(re.sub("\0(\\d+)\0", lambda match: kept[int(match[1])], bare))


def hide_secrets(text: str) -> str:
    """A text without API tokens and without the values of secret environment variables."""
    for name, value in os.environ.items():
        if _is_secret(name) and len(value) >= 8:
            text = text.replace(value, HIDDEN)
    return _TOKEN.sub(HIDDEN, text)


def _redact_text(text: str) -> str:
    """A text without secrets and without private addresses."""
    return _URL.sub(lambda match: _redact_url(match[0]), hide_secrets(text))


def _redact_url(text: str) -> str:
    try:
        url = URL(text)
        host = url.host or ""
    except ValueError:
        return HIDDEN
    if url.scheme not in ("http", "https", "ws", "wss"):
        return HIDDEN if url.scheme == "file" else text
    if "." not in host or host.endswith((".local", ".internal", ".lan")) or _is_number(host):
        return f"{url.scheme}://YOUR-SERVER{url.path}"
    return str(url.with_user(None).with_query(None))


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
