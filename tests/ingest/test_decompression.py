import gzip
import os
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from app.ingest.decompression import CODINGS, Decompressor
from app.request_errors import InvalidEncodingError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1024 * 1024
BODY = bytes(range(250)) * 4 + os.urandom(3_000)


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


COMPRESS: list[tuple[bytes, Callable[[bytes], bytes]]] = [
    (b"gzip", gzip.compress),
    (b"x-gzip", gzip.compress),
    (b"deflate", zlib.compress),
    (b"deflate", raw_deflate),
    (b"zstd", zstd.compress),
]


def decompress(coding: bytes, *chunks: bytes, max_bytes: int = 10_000) -> bytes:
    decompressor = Decompressor(coding, max_bytes)
    parts = [part for chunk in chunks for part in decompressor.feed(chunk)]
    decompressor.finish()
    return b"".join(parts)


def test_each_coding_is_tried_below() -> None:
    assert {coding for coding, _ in COMPRESS} == CODINGS


@pytest.mark.parametrize(("coding", "compress"), COMPRESS)
@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("body", [b"", b"[]", BODY])
def test_body_is_decompressed_however_it_is_cut(
    coding: bytes, compress: Callable[[bytes], bytes], size: int, body: bytes
) -> None:
    sent = compress(body)
    chunks = [sent[i : i + size] for i in range(0, len(sent), size)]
    assert decompress(coding, *chunks) == body


@pytest.mark.parametrize(("coding", "compress"), COMPRESS)
def test_output_comes_in_pieces_of_the_limit(
    coding: bytes, compress: Callable[[bytes], bytes]
) -> None:
    decompressor = Decompressor(coding, 99)
    pieces = list(decompressor.feed(compress(b"x" * 1_000)))
    assert max(map(len, pieces)) <= 100
    assert b"".join(pieces) == b"x" * 1_000


@pytest.mark.parametrize(("coding", "compress"), COMPRESS)
@pytest.mark.parametrize(
    "damage",
    [
        lambda _: [],
        lambda _: [b"[]"],
        lambda sent: [sent[:1]],
        lambda sent: [sent[:-1]],
        lambda sent: [sent, b"\0"],
        lambda sent: [sent + b"\0"],
        lambda sent: [sent + sent],
        lambda sent: [sent[:8] + b"\xff" * 20 + sent[28:]],
    ],
    ids=[
        *("no body", "not compressed", "one byte", "one byte short"),
        *("a byte more, later", "a byte more", "two streams", "corrupt"),
    ],
)
def test_damaged_stream_is_refused(
    coding: bytes,
    compress: Callable[[bytes], bytes],
    damage: Callable[[bytes], list[bytes]],
) -> None:
    with pytest.raises(InvalidEncodingError):
        decompress(coding, *damage(compress(BODY)))


def test_wrong_checksum_is_refused() -> None:
    sent = gzip.compress(b"[]")
    with pytest.raises(InvalidEncodingError):
        decompress(b"gzip", sent[:-5] + b"\0" + sent[-4:])


@pytest.mark.parametrize("log", [23, 24])
def test_zstd_window_is_at_most_8_mib(log: int) -> None:
    options = {int(zstd.CompressionParameter.window_log): log}
    compressor = zstd.ZstdCompressor(options=options)
    sent = compressor.compress(b"ab" * 9 * MIB) + compressor.flush()
    if log == 23:
        assert len(decompress(b"zstd", sent, max_bytes=20 * MIB)) == 18 * MIB
    else:
        with pytest.raises(InvalidEncodingError):
            decompress(b"zstd", sent, max_bytes=20 * MIB)


@pytest.mark.parametrize(("coding", "compress"), COMPRESS)
def test_bomb_takes_no_more_memory_than_the_limit(
    coding: bytes, compress: Callable[[bytes], bytes]
) -> None:
    bomb = compress(bytes(64 * MIB))
    tracemalloc.start()
    try:
        first = next(iter(Decompressor(coding, MIB).feed(bomb)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0 < len(first) <= MIB + 1
    assert peak < 6 * MIB
