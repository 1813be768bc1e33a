"""What may not leave the machine with a dataset: secrets, paths, private addresses. What stands in their place says so."""

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yarl import URL

_SECRET = frozenset(("key", "apikey", "token", "secret", "password", "passwd", "authorization", "cookie", "credentials"))
_LOCAL = frozenset(("env", "ca", "command"))  # of an engine: what its own machine needs to run it
_TOKEN = re.compile(r"\b(?:hf_|sk-|gsk_|ghp_|xai-|AKIA|AIza)[\w-]{12,}|\b[Bb]earer\s+[\w.~+/-]{8,}=*")
_URL = re.compile(r"\b[a-z]+://[^\s'\"<>)\]]+")
_PATH_IN_TEXT = re.compile(r"(?<![\w.:/<])(?:~|\.{1,2})?(?:/[\w.@+~-]+){2,}/?")
_COMMON_ROOTS = "home|Users|root|srv|mnt|media|data|opt|tmp|var|scratch|work|workspace|content|nfs|gpfs|lustre|shared"
_ROOTED = re.compile(rf"(?<![\w.:/<])/(?:{_COMMON_ROOTS})(?:/[\w.@+~-]+)+/?")
_WHOLE_PATH = re.compile(r"(?:(?:~|\.{1,2})?/|[A-Za-z]:\\|~$|\.{1,2}$)\S*")
HIDDEN = "(hidden)"


def redact_model(name: str) -> str:
    """A model as the public knows it: of a folder on this machine only its name."""
    if name.startswith("pocket:") or not (_WHOLE_PATH.fullmatch(name) or os.path.exists(os.path.expanduser(name))):
        return _redact_text(name)
    return _redact_text(_last_part(name))


def redact_value(value: Any) -> Any:
    """Knobs and options that may be told: without secrets and private addresses, files and folders by their names."""
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
    return _redact_text(_ROOTED.sub(lambda found: _last_part(found[0]), text))


def _last_part(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def _is_secret(key: str) -> bool:
    return re.split(r"[_-]", key.lower())[-1] in _SECRET


def redact_message(text: str) -> str:
    """A message (of an error, say) without secrets, and with paths cut down to their last names."""
    kept: list[str] = []

    def aside(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\0{len(kept) - 1}\0"

    bare = _PATH_IN_TEXT.sub(lambda found: _last_part(found[0]), _URL.sub(aside, text))
    return _redact_text(re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], bare))


def hide_secrets(text: str) -> str:
    """A text without tokens and without the values of the environment's secrets."""
    for name, value in os.environ.items():
        if _is_secret(name) and len(value) >= 8:
            text = text.replace(value, HIDDEN)
    return _TOKEN.sub(HIDDEN, text)


def _redact_text(text: str) -> str:
    """A text without secrets and without private addresses."""
    return _URL.sub(lambda found: _redact_url(found[0]), hide_secrets(text))


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
