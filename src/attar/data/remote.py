"""Files on the filesystems that fsspec knows: `s3://bucket/folder`, `hf://datasets/owner/name@revision/*.parquet`, `https://...`.

Files are streamed. Credentials come from the environment or from a filesystem's own settings, never from the address. A
connection that fails stops the reading with one DataError: it is no damaged file.
"""

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from attar.core.errors import DataError, MissingExtraError
from attar.data.data_file import DataFile, is_data

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://")
_PASSWORD = re.compile(r"://[^/@]*:[^/@]*@")
_WILD = re.compile(r"[*?[]")
_MARKS = ("ETag", "etag", "md5", "md5Hash", "content_md5", "crc32c", "blob_id")
"""What filesystems call a mark of a file's content."""


def is_address(source: str | Path) -> bool:
    """True for `s3://...` and other addresses."""
    return isinstance(source, str) and _ADDRESS.match(source) is not None


def remote_files(address: str) -> tuple[list[DataFile], Path]:
    """The files of an address (a file, the readable files below a folder, or those that match a pattern) and their root."""
    with _as_data_errors(address):
        system, key = _filesystem(address)
        if _WILD.search(key):
            keys = sorted(name for name in cast("list[str]", system.glob(key)) if is_data(name.rpartition("/")[2]))
            root = next(folder for folder in Path(key).parents if not _WILD.search(str(folder)))
        elif system.isdir(key):
            keys = sorted(name for name in system.find(key) if is_data(name.rpartition("/")[2]))
            root = Path(key)
        else:
            keys = [key] if system.exists(key) else []
            root = Path(key).parent
    if not keys:
        raise DataError(f"{address} does not exist, or is a folder without data files: check the address")
    files = [DataFile(_name(system, name), lambda name=name: _open(system, name, address), local=False) for name in keys]
    return files, _name(system, str(root))


def content_of_address(address: str) -> str:
    """A hash of the files' names and of the marks of their contents; of the contents, where a filesystem has no such marks."""
    digest = hashlib.blake2b(digest_size=8)
    files, root = remote_files(address)
    with _as_data_errors(address):
        system, _ = _filesystem(address)
        system.invalidate_cache()
        for file in files:
            digest.update(f"{file.path.relative_to(root)}\0".encode())
            facts = system.info(system._strip_protocol(_address_of(file.path)))
            mark = next((f"{key}={facts[key]}" for key in _MARKS if facts.get(key)), None)
            digest.update(mark.encode() if mark else _hash(file))
    return digest.hexdigest()


def _hash(file: DataFile) -> bytes:
    digest = hashlib.blake2b(digest_size=8)
    with file.open() as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.digest()


def _filesystem(address: str) -> tuple[Any, str]:
    """The filesystem of an address and what it calls the place."""
    if _PASSWORD.search(address):
        raise DataError("the address has a password in it: leave it out, and give credentials in the environment")
    try:
        from fsspec.core import url_to_fs

        return url_to_fs(address)
    except ImportError as error:
        protocol = address.partition("://")[0]
        if protocol in ("s3", "s3a") or error.name == "fsspec":
            raise MissingExtraError(error.name or "s3fs", "s3") from error
        raise DataError(f"{address}: {' '.join(str(error).split())}") from error


def _name(system: Any, key: str) -> Path:
    return Path(system.unstrip_protocol(key))


def _address_of(path: Path) -> str:
    return str(path).replace(":/", "://", 1)


def _open(system: Any, key: str, address: str) -> IO[bytes]:
    with _as_data_errors(address):
        return cast("IO[bytes]", _Stream(system.open(key, "rb"), address))


@contextmanager
def _as_data_errors(address: str) -> Iterator[None]:
    import aiohttp  # slow to import, and needed only for files elsewhere

    try:
        yield
    except (OSError, ValueError, TimeoutError, aiohttp.ClientError) as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise DataError(
            f"{address} could not be read ({reason}): check the address, the credentials and the connection"
        ) from error


class _Stream(io.RawIOBase):
    """A file of fsspec, whose errors are DataErrors: readers take other errors for damage in the file."""

    def __init__(self, inner: Any, address: str) -> None:
        self._inner = inner
        self._address = address

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._inner.seekable())

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._inner.seek(offset, whence))

    def tell(self) -> int:
        return int(self._inner.tell())

    def readinto(self, buffer: Any) -> int:
        with _as_data_errors(self._address):
            block = self._inner.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._inner.close()
        super().close()
