"""A body that is too big is refused, and takes no more memory than the bar allows."""

import zlib

import pytest

from tests.support.http.wire import connected, event, head, request
from tests.support.service.process import Service

MIB = 1024 * 1024
LIMIT = 10 * MIB
KEYLESS_LIMIT = MIB
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


def filled(start: bytes, part: bytes, end: bytes, *, limit: int = LIMIT) -> bytes:
    """A body of the most bytes that one may have."""
    return start + part * ((limit - len(start + end)) // len(part)) + end


SHAPES = {
    "arrays": (b"[", b"[],", b"[]]"),
    "objects": (b"[", b"{},", b"{}]"),
    "one key": (b"[", b'{"a":1},', b"{}]"),
    "texts": (b'{"properties":[', b'"ab",', b'""]}'),
    "numbers": (b'{"properties":[', b"1.5,", b"1]}"),
}
DENSE = {
    **{name: filled(*shape) for name, shape in SHAPES.items()},
    "keys": b"{%b}" % b",".join(b'"%x":1' % n for n in range(10**6)),
}
# Without a key in a header a body has fewer bytes. A body within all limits is read to
# its end, and refused because it has no key.
KEYLESS_SHAPES = SHAPES | {"digits": (b'{"properties":[', b"1,", b"1]}")}
KEYLESS = {
    "arrays": (413, "too_many_values"),
    "objects": (413, "too_many_values"),
    "digits": (413, "too_many_values"),
    "one key": (413, "too_many_events"),
    "texts": (401, "unauthorized"),
    "numbers": (401, "unauthorized"),
}


def without_key(body: bytes) -> bytes:
    """A request without a key in a header."""
    return request("", body).replace(b"Authorization", b"X-None", 1)


@pytest.mark.parametrize("dense", DENSE)
def test_small_body_of_many_values_is_refused(
    service: Service, key: str, before: int, dense: str
) -> None:
    with connected(service) as wire:
        wire.send(request(key, DENSE[dense]))
        status, _, answer = wire.answer()

    assert (status, answer["code"]) == (413, "too_many_values")
    assert service.peak_memory() - before < BAR


@pytest.mark.parametrize("dense", DENSE)
def test_body_without_a_key_is_refused_above_its_own_limit(
    service: Service, before: int, dense: str
) -> None:
    with connected(service) as wire:
        wire.send(without_key(DENSE[dense]))
        status, _, answer = wire.answer()

    assert (status, answer["code"]) == (413, "body_too_large")
    assert service.peak_memory() - before < BAR


@pytest.mark.parametrize("dense", KEYLESS)
def test_body_of_many_values_without_a_key_is_refused_within_its_own_limit(
    service: Service, before: int, dense: str
) -> None:
    body = filled(*KEYLESS_SHAPES[dense], limit=KEYLESS_LIMIT)
    with connected(service) as wire:
        wire.send(without_key(body))
        status, _, answer = wire.answer()

    assert (status, answer["code"]) == KEYLESS[dense]
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
def test_gzip_bomb_is_refused_before_it_is_inflated(
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
