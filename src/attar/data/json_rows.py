"""Rows of JSON texts: one on each line, or the items of an array, which is never loaded whole.

A line is parsed by orjson, or by `json` where the two differ: integers beyond 64 bits, NaN and infinity, numbers beyond
float64, halves of surrogate pairs, bytes that are not UTF-8, deep nesting. So values and reasons are those of `json`.
"""

import io
import json
import re
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from attar.data.data_file import RawRow
from attar.data.streams import rejoin

_GAP = re.compile(r"[ \t\r\n,]*")
_LARGEST = 64 << 20
"""The longest line in bytes, or item of an array in characters."""
_MARKS = bytes(ord("0") if chr(byte).isdecimal() else ord("[") if chr(byte) in "[{" else ord(".") for byte in range(256))
"""Every digit becomes 0, every opening bracket [, and all else a dot."""
_LONG_NUMBER = b"0" * 19
"""Numbers with fewer digits fit in 64 bits."""
_DEEPEST = 200
_BOM = b"\xef\xbb\xbf"


def line_rows(file: Path, stream: BinaryIO) -> Iterator[RawRow]:
    """A row of each line that is not blank."""
    for number, line in enumerate(_lines(stream), 1):
        if isinstance(line, ValueError):
            yield RawRow(file, number, line)
        elif not line.isspace() and (value := _parse(line)) is not _BLANK:
            yield RawRow(file, number, value)


_BLANK = object()


def _lines(stream: BinaryIO) -> Iterator[bytes | ValueError]:
    """The lines, with ends of any system; a line that is too long is an error."""
    start = stream.readline(_LARGEST).removeprefix(_BOM)
    for line in chain([start] if start else [], iter(partial(stream.readline, _LARGEST), b"")):
        if len(line) == _LARGEST and not line.endswith(b"\n"):
            while (rest := stream.readline(_LARGEST)) and not rest.endswith(b"\n"):
                pass
            yield ValueError("the line is longer than 64 MiB")
        elif b"\r" in line:
            yield from line.replace(b"\r\n", b"\n").replace(b"\r", b"\n").splitlines(keepends=True)
        else:
            yield line


def _parse(line: bytes) -> Any:
    """The value of a line; a ValueError if it is not JSON, _BLANK if it has nothing but Unicode's spaces."""
    marks = line.translate(_MARKS)
    if marks.find(_LONG_NUMBER) < 0 and marks.count(b"[") < _DEEPEST:
        try:
            return orjson.loads(line)
        except orjson.JSONDecodeError:
            pass  # `json` says what is wrong, or reads it
    text = line.decode("utf-8", "surrogateescape")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return ValueError(f"not JSON: {error}") if text.strip() else _BLANK


def json_rows(file: Path, stream: BinaryIO) -> Iterator[RawRow]:
    """The items of an array, or a row of each line, as in many `.json` files."""
    head = bytearray(stream.read(len(_BOM)))
    is_blank = not head.removeprefix(_BOM).strip()
    while is_blank and (more := stream.read(1)):
        head += more
        is_blank = more.isspace()
    is_array = head.removeprefix(_BOM).lstrip().startswith(b"[")
    yield from (array_rows if is_array else line_rows)(file, rejoin(bytes(head), stream))


def array_rows(file: Path, stream: BinaryIO, chunk: int = 1 << 20) -> Iterator[RawRow]:
    """The items of a JSON array, without loading the whole array."""
    decoder, buffer, at, line = json.JSONDecoder(), "", 0, 1
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape")
    while (opening := text.read(1)).isspace():
        line += opening == "\n"
    while True:
        start = at + len(_GAP.match(buffer, at)[0])  # type: ignore[index] # it matches the empty string too
        line, at = line + buffer.count("\n", at, start), start
        if buffer.startswith("]", at):
            return
        value, reason = None, "the file ends within it"
        try:
            value, end = decoder.raw_decode(buffer, at)
        except (ValueError, RecursionError) as error:
            reason, end = getattr(error, "msg", str(error)), len(buffer)
        if end == len(buffer):  # the item may continue in the next chunk
            more = text.read(max(chunk, len(buffer) - at)) if len(buffer) - at < _LARGEST else ""
            if not more:
                yield RawRow(file, line, ValueError(f"not JSON, so nothing from here on could be read: {reason}"))
                return
            buffer, at = buffer[at:] + more, 0
            continue
        yield RawRow(file, line, value)
        line, at = line + buffer.count("\n", at, end), end
