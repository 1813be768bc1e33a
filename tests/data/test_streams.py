import bz2
import gzip
import io
import lzma
from functools import partial

import pyarrow as pa
import pytest

from attar.data.data_file import DataFile
from attar.data.streams import open_stdin, open_stream, rejoin

TEXT = b"".join(b"%d\n" % i for i in range(50_000))
PACK = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": partial(pa.compress, codec="zstd", asbytes=True),
}


@pytest.mark.parametrize("suffix", PACK)
def test_bytes_are_unpacked_by_the_name_also_of_files_that_were_joined(tmp_path, suffix):
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(PACK[suffix](TEXT) + PACK[suffix](b"end\n"))
    with open_stream(DataFile(path, partial(path.open, "rb"))) as stream:
        assert stream.read() == TEXT + b"end\n"


@pytest.mark.parametrize("suffix", PACK)
def test_a_stream_without_a_name_is_unpacked_by_its_first_bytes(tmp_path, suffix):
    with open_stdin(DataFile(tmp_path, lambda: io.BytesIO(PACK[suffix](TEXT)))) as stream:
        assert stream.read() == TEXT


@pytest.mark.parametrize("size", [0, 3, 2_000_000])
def test_bytes_that_were_read_come_first_again(size):
    assert rejoin(b"x" * size, io.BytesIO(b"rest")).read() == b"x" * size + b"rest"
