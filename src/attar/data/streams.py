"""The bytes of a file, decompressed as they are read: gzip, bzip2, xz and zstd.

The name says which; for standard input, which has none, the first bytes do.
"""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, cast

from attar.data.data_file import DataFile

_BUFFER = 1 << 20
_ZSTD_BLOCK = 1 << 13
"""Of a zstd file that breaks off, at most this many bytes before the end are lost."""


@contextmanager
def open_stream(file: DataFile) -> Iterator[BinaryIO]:
    """The decompressed bytes of a file."""
    with ExitStack() as opened:
        raw = opened.enter_context(file.open())
        unpack = _UNPACKERS.get(file.path.suffix, _buffer)
        yield opened.enter_context(unpack(raw))


@contextmanager
def open_stdin(file: DataFile) -> Iterator[BinaryIO]:
    """The decompressed bytes of a stream that has no name."""
    raw = file.open()
    head = raw.read(6)
    unpack = next((_UNPACKERS[suffix] for suffix, magic in _MAGIC.items() if head.startswith(magic)), _buffer)
    yield unpack(rejoin(head, cast("BinaryIO", raw)))


def rejoin(head: bytes, rest: BinaryIO) -> BinaryIO:
    """A stream of bytes that were read already and of those that follow."""
    start = io.BytesIO(head)
    return _buffer(_Blocks(lambda size: start.read(size) or rest.read(size)))


def _buffer(raw: Any) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(raw, _BUFFER))


def _unpack(inner: Any) -> BinaryIO:
    return _buffer(_Blocks(inner.read1))


def _unpack_zstd(raw: Any) -> BinaryIO:
    import pyarrow as pa

    inner = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
    return _buffer(_Blocks(lambda size: inner.read(min(size, _ZSTD_BLOCK))))


_UNPACKERS: dict[str, Callable[[Any], BinaryIO]] = {
    ".gz": lambda raw: _unpack(gzip.GzipFile(fileobj=raw)),
    ".bz2": lambda raw: _unpack(bz2.BZ2File(raw)),
    ".xz": lambda raw: _unpack(lzma.LZMAFile(raw)),  # noqa: SIM115 (the caller closes `raw`)
    ".zst": _unpack_zstd,
}
_MAGIC = {".gz": b"\x1f\x8b", ".bz2": b"BZh", ".xz": b"\xfd7zXZ\0", ".zst": b"\x28\xb5\x2f\xfd"}


class _Blocks(io.RawIOBase):
    """A stream of the blocks that a function gives, none longer than it was asked for.

    It gives what it has at once: of a file that breaks off, all blocks before the end are read.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._read(len(buffer))
        buffer[: len(block)] = block
        return len(block)
