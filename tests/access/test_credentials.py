import base64
from functools import partial
from itertools import combinations

import pytest

from app.access.credentials import (
    KEY_HEADERS,
    find_body_key,
    key_from_body,
    key_from_headers,
    refused_writer,
)
from app.request_errors import UnauthorizedError
from tests.support.durations import least_cpu_s

KEY = b"rc_key"


def basic(credentials: bytes) -> bytes:
    return b"Basic " + base64.b64encode(credentials)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"authorization", b"Bearer rc_key"),
        (b"authorization", b"bearer rc_key"),
        (b"authorization", b"BEARER   rc_key"),
        (b"authorization", basic(b"rc_key:")),
        (b"authorization", basic(b"rc_key")),
        (b"authorization", basic(b"rc_key:a:b")),
        (b"authorization", basic(b"rc_key:").replace(b"Basic", b"bAsIc")),
        (b"x-api-key", b"rc_key"),
        (b"x-write-key", b"rc_key"),
        (b"key", b"rc_key"),
    ],
)
def test_key_is_read_from_each_header(name: bytes, value: bytes) -> None:
    assert key_from_headers({name: value}) == KEY


def test_without_a_header_there_is_no_key() -> None:
    assert key_from_headers({}) is None
    assert key_from_headers({b"content-type": b"application/json"}) is None


@pytest.mark.parametrize(("first", "second"), [*combinations(KEY_HEADERS, 2)])
def test_first_header_decides(first: bytes, second: bytes) -> None:
    right = b"Bearer rc_key" if first == b"authorization" else b"rc_key"

    assert key_from_headers({second: b"rc_wrong", first: right}) == KEY


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"rc_key",
        b"Token rc_key",
        b"Digest username=rc_key",
        b"Bearer\xa0rc_key",
        b"Basic",
        b"Basic ",
        b"Basic rc_key",
        b"Basic !!!!",
        b"Basic cmNfa2V5Og",
        b"Basic cmNfa2V5Og==\xff",
        b"Basic \xff\xfe",
        basic(b":rc_key"),
        basic(b""),
    ],
)
def test_authorization_without_a_key_falls_through_to_nothing(value: bytes) -> None:
    others = dict.fromkeys(KEY_HEADERS[1:], KEY)

    with pytest.raises(UnauthorizedError, match="authorization"):
        key_from_headers({b"authorization": value, **others})


@pytest.mark.parametrize("name", KEY_HEADERS[1:])
def test_empty_header_falls_through_to_nothing(name: bytes) -> None:
    later = KEY_HEADERS[KEY_HEADERS.index(name) + 1 :]

    with pytest.raises(UnauthorizedError, match=name.decode()):
        key_from_headers({name: b"", **dict.fromkeys(later, KEY)})


@pytest.mark.parametrize("odd", [b"\xff\xfe", b"caf\xc3\xa9", b"\x80" * 100, b"a b"])
def test_bytes_that_are_no_text_are_a_key_like_any_other(odd: bytes) -> None:
    assert key_from_headers({b"authorization": b"Bearer " + odd}) == odd
    assert key_from_headers({b"authorization": basic(odd + b":")}) == odd
    assert key_from_headers({b"key": odd}) == odd


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"writeKey": "rc_key"}, KEY),
        ({"writeKey": "rc_key", "batch": []}, KEY),
        ({"writeKey": "caf\u00e9"}, "caf\u00e9".encode()),
        ({"writeKey": "\ud800"}, b"\xed\xa0\x80"),
        ({"writeKey": "\0"}, b"\0"),
    ],
)
def test_key_is_read_from_a_body(body: object, key: bytes) -> None:
    assert key_from_body(body) == key


@pytest.mark.parametrize(
    "body",
    [
        None,
        1,
        "writeKey",
        [],
        [{"writeKey": "rc_key"}],
        {},
        {"writekey": "rc_key"},
        {"writeKey": None},
        {"writeKey": 7},
        {"writeKey": ["rc_key"]},
        {"properties": {"writeKey": "rc_key"}},
    ],
)
def test_body_without_a_key_is_refused(body: object) -> None:
    with pytest.raises(UnauthorizedError, match="Bearer"):
        key_from_body(body)


def test_read_key_is_called_one() -> None:
    assert "read key" in refused_writer(b"rc_read_key").detail
    assert "unknown or revoked" in refused_writer(KEY).detail


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (b"rc_key", "no scheme"),
        (b"Token rc_key", "unknown scheme"),
        (b"Bearer", "no key after it"),
        (b"Basic  ", "no key after it"),
        (b"Basic rc_key", "no Base64"),
        (basic(b":rc_key"), "no user name"),
    ],
)
def test_refusal_names_the_error_of_the_header(value: bytes, named: str) -> None:
    with pytest.raises(UnauthorizedError, match=named):
        key_from_headers({b"authorization": value})


def test_text_that_is_no_key_of_rollcall_is_called_so() -> None:
    for key in (b"YOUR_WRITE_KEY", b"sk_live_abc", b"rcx_", b'"rc_key"'):
        assert "begin with `rc_`" in refused_writer(key).detail


@pytest.mark.parametrize(
    ("start", "key"),
    [
        (b'{"writeKey":"rc_a"}', b"rc_a"),
        (b'{"batch": [], "api_key" : "rc_a"', b"rc_a"),
        (b'{"writeKey":\n "rc_a"', b"rc_a"),
        (b'{"writeKey": 7, "api_key": "rc_b"}', b"rc_b"),
        (b"{}", None),
        (b'{"writeKey": ""}', None),
        (b'{"writeKey": "rc_\\u0061"}', None),
        (b'{"writeKey": "rc_a', None),
        (b"", None),
    ],
)
def test_body_key_is_guessed_from_its_start(start: bytes, key: bytes | None) -> None:
    assert find_body_key(start) == key


@pytest.mark.parametrize("unit", [b'"writeKey"', b'"writeKey": ', b'"', b" ", b'"a":'])
def test_body_key_is_guessed_in_linear_time(unit: bytes) -> None:
    start = unit * (64 * 1024 // len(unit))

    assert least_cpu_s(partial(find_body_key, start), enough_s=0.05) < 0.05
