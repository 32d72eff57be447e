import gzip
import tracemalloc
from contextlib import nullcontext

import pytest

from app.ingest.body import BodyReader, Framing, check_headers
from app.ingest.load.budget import ByteBudget
from app.request_errors import BodyTooLargeError, OverloadedError, UnsupportedMediaError

KIB = 1024
MIB = 1024 * KIB
MOST = 1_000
JSON = {b"content-type": b"application/json"}


def read(
    *chunks: bytes,
    gzipped: bool = False,
    max_bytes: int = MOST,
    budget: int = 100 * MIB,
) -> bytes:
    """Read a body; afterwards no more may be held than was given back."""
    bytes_ = ByteBudget(budget)
    permit = bytes_.permit("billing")
    reader = BodyReader(
        Framing(b"gzip" if gzipped else None, 0), max_bytes=max_bytes, grow=permit.grow
    )
    try:
        for chunk in chunks:
            reader.feed(chunk)
        body = reader.finish()
        assert bytes_.used >= len(body)
        return body
    finally:
        permit.release()
        assert bytes_.used == 0


@pytest.mark.parametrize(
    ("encoding", "coding"),
    [
        (b"gzip", b"gzip"),
        (b" GZIP ", b"gzip"),
        (b"x-gzip", b"x-gzip"),
        (b"deflate", b"deflate"),
        (b"zstd", b"zstd"),
        (b"identity", None),
        (b"", None),
    ],
)
def test_known_content_coding_is_accepted(
    encoding: bytes, coding: bytes | None
) -> None:
    headers = JSON | {b"content-encoding": encoding}
    assert check_headers(headers, max_bytes=MOST) == Framing(coding, 0)


@pytest.mark.parametrize("encoding", [b"br", b"gzip, gzip", b"compress", b"\xff"])
def test_other_content_coding_is_refused(encoding: bytes) -> None:
    with pytest.raises(UnsupportedMediaError):
        check_headers(JSON | {b"content-encoding": encoding}, max_bytes=MOST)


def test_ndjson_is_distinguished_from_json() -> None:
    headers = {b"content-type": b"application/x-ndjson"}
    assert check_headers(headers, max_bytes=MOST).is_ndjson


def test_binary_cloudevent_needs_no_content_type() -> None:
    assert check_headers({b"ce-specversion": b"1.0"}, max_bytes=MOST).coding is None


def test_length_at_the_limit_passes_and_one_above_is_refused() -> None:
    at_most = JSON | {b"content-length": b"1000"}
    assert check_headers(at_most, max_bytes=MOST).length == 1000
    with pytest.raises(BodyTooLargeError):
        check_headers(JSON | {b"content-length": b"1001"}, max_bytes=MOST)


@pytest.mark.parametrize(("length", "fits"), [(b"10", True), (b"11", False)])
def test_length_with_thousands_of_zeros_is_read(length: bytes, *, fits: bool) -> None:
    headers = {
        b"content-type": b"application/json",
        b"content-length": b"0" * 20_000 + length,
    }
    with nullcontext() if fits else pytest.raises(BodyTooLargeError):
        assert check_headers(headers, max_bytes=10).length == 10


def test_type_is_refused_before_the_length() -> None:
    with pytest.raises(UnsupportedMediaError):
        check_headers({b"content-length": b"1001"}, max_bytes=MOST)


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_body_is_read_whole_for_any_chunks(*, gzipped: bool, size: int) -> None:
    body = bytes(range(250)) * 4
    sent = gzip.compress(body) if gzipped else body
    chunks = [sent[i : i + size] for i in range(0, len(sent), size)]

    assert read(*chunks, gzipped=gzipped) == body


@pytest.mark.parametrize("chunks", [[], [b""], [b"", b"[]", b""]])
def test_empty_chunks_are_nothing(chunks: list[bytes]) -> None:
    assert read(*chunks) == b"".join(chunks)


@pytest.mark.parametrize("gzipped", [False, True])
def test_limit_applies_to_the_decompressed_size(*, gzipped: bool) -> None:
    pack = gzip.compress if gzipped else bytes

    assert len(read(pack(b"x" * 1_000), gzipped=gzipped)) == 1_000
    with pytest.raises(BodyTooLargeError):
        read(pack(b"x" * 1_001), gzipped=gzipped)


def test_body_over_the_limit_is_refused_before_it_ends() -> None:
    with pytest.raises(BodyTooLargeError):
        read(b"x" * 600, b"x" * 600)


@pytest.mark.parametrize("size", [64, 100_000])
def test_gzip_bomb_is_refused_without_inflating_it(size: int) -> None:
    bomb = gzip.compress(bytes(64 * MIB))
    chunks = [bomb[i : i + size] for i in range(0, len(bomb), size)]
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLargeError):
            read(*chunks, gzipped=True, max_bytes=MIB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 6 * MIB


def test_body_without_a_length_is_counted_as_it_arrives() -> None:
    with pytest.raises(OverloadedError):
        read(b"x" * 500, b"x" * 400, budget=899)


def test_inflated_size_is_counted() -> None:
    packed = gzip.compress(b"x" * 900)
    with pytest.raises(OverloadedError):
        read(packed, gzipped=True, budget=899)
    assert read(packed, gzipped=True, budget=900)
