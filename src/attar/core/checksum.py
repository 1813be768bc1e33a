"""Checksums of files: damage on disk is detected when a file is read, and never returned as data.

64 bits of BLAKE2b. A part of a table has its checksum in its name; a card and a record have theirs in their last line.
"""

import time
from functools import lru_cache
from hashlib import blake2b, file_digest
from pathlib import Path
from threading import Lock

_BYTES = 8
_CLOCK_TICK = 20_000_000
"""Nanoseconds: a file that changed this recently may change again and keep its time, so its checksum is not cached."""
_locks = tuple(Lock() for _ in range(64))


def checksum(content: bytes) -> str:
    """The checksum of these bytes, in hexadecimal."""
    return blake2b(content, digest_size=_BYTES).hexdigest()


def file_checksum(path: Path) -> str:
    """The checksum of a file; it is computed once per process, unless the file changes."""
    stat = path.stat()
    with _locks[hash(path) % len(_locks)]:  # threads that want the same file hash it once
        if time.time_ns() - stat.st_ctime_ns < _CLOCK_TICK:
            return _hash_file(path)
        return _hash_state(path, stat.st_ino, stat.st_ctime_ns, stat.st_size)


def _hash_file(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, lambda: blake2b(digest_size=_BYTES)).hexdigest()


@lru_cache(maxsize=1 << 16)
def _hash_state(path: Path, inode: int, changed: int, size: int) -> str:
    """Hash a file once for each state: inode, change time and size tell states apart without reading the file."""
    return _hash_file(path)


def _last_line(body: bytes) -> bytes:
    return b',\n "checksum": "' + checksum(body).encode() + b'"\n}\n'


def add_checksum(text: bytes) -> bytes:
    """An indented JSON object with the checksum of its text as its last key; one without keys stays as it is."""
    body = text.removesuffix(b"\n}\n")
    return body + _last_line(body) if body != text else text


def remove_checksum(text: bytes) -> bytes:
    """The JSON text that was given to `add_checksum`; ValueError if a bit differs. Text without one is returned as is."""
    length = len(_last_line(b""))
    body, last = text[:-length], text[-length:]
    if last == _last_line(body):
        return body + b"\n}\n"
    if b'"checksum"' in last or checksum(body).encode() in last:  # no single fault hides both the key and the value
        raise ValueError("its checksum does not match")
    return text
