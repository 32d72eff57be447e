"""Whatever is too big is refused, and takes no more memory than the bar allows."""

import zlib

import pytest

from tests.support.service import Service
from tests.support.wire import connected, event, head, request

MIB = 1024 * 1024
LIMIT = 10 * MIB
BAR = 64 * MIB
GZIP = "Content-Encoding: gzip"


@pytest.fixture(scope="module")
def before(service: Service, key: str) -> int:
    """What the service held at most, once it had stored something."""
    with connected(service) as wire:
        wire.send(request(key, event()))
        assert wire.answer()[0] == 200
    return service.peak_memory()


def bomb(size: int) -> bytes:
    """White space, compressed a thousandfold; its checksum is never come to."""
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    start, again = (
        packer.compress(b" " * MIB) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)
    )
    return start + again * (size - 1) + packer.flush()


def filled(start: bytes, part: bytes, end: bytes) -> bytes:
    """A body of the most bytes that one may have."""
    return start + part * ((LIMIT - len(start + end)) // len(part)) + end


DENSE = {
    "arrays": filled(b"[", b"[],", b"[]]"),
    "objects": filled(b"[", b"{},", b"{}]"),
    "one key": filled(b"[", b'{"a":1},', b"{}]"),
    "texts": filled(b'{"properties":[', b'"ab",', b'""]}'),
    "numbers": filled(b'{"properties":[', b"1.5,", b"1]}"),
    "keys": b"{%b}" % b",".join(b'"%x":1' % n for n in range(10**6)),
}


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("dense", DENSE)
def test_a_small_body_of_many_values_is_refused(
    service: Service, key: str, before: int, dense: str, *, keyed: bool
) -> None:
    body = DENSE[dense]
    sent = request(key, body)
    with connected(service) as wire:
        wire.send(sent if keyed else sent.replace(b"Authorization", b"X-None", 1))
        status, _, answer = wire.answer()

    assert (status, answer["code"]) == (413, "too_many_values")
    assert service.peak_memory() - before < BAR


def test_texts_full_of_brackets_are_no_values(
    service: Service, key: str, before: int
) -> None:
    text = b"[{," * 40_000
    one = event()[:-2] + b',"note":"' + text + b'"}}'
    with connected(service) as wire:
        wire.send(request(key, b"[" + b",".join([one] * 80) + b"]"))
        status, _, answer = wire.answer()

    assert (status, answer["rejected"]) == (200, 0)
    assert service.peak_memory() - before < BAR


@pytest.mark.parametrize(("megabytes", "expected"), [(1, 400), (11, 413), (1024, 413)])
def test_a_bomb_is_refused_before_it_goes_off(
    service: Service, key: str, before: int, megabytes: int, expected: int
) -> None:
    body = bomb(megabytes)
    with connected(service) as wire:
        wire.send(head(key, GZIP, length=len(body)) + body)
        status, _, _ = wire.answer()

    assert status == expected
    assert service.peak_memory() - before < BAR


def test_ten_thousand_headers_are_refused(
    service: Service, key: str, before: int
) -> None:
    many = [f"X-Header-{n}: {n}" for n in range(10_000)]
    with connected(service) as wire:
        wire.send(head(key, *many, length=0))
        status, _, answer = wire.answer()

    assert (status, answer["code"]) == (431, "headers_too_large")
    assert service.peak_memory() - before < BAR
