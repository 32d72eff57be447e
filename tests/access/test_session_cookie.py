"""The filter of `Cookie` headers: its result, and its time for the worst header."""

from functools import partial

import pytest

from app.access.session_cookie import (
    SECURE_SESSION_COOKIE,
    SESSION_COOKIE,
    keep_session_cookie,
)
from tests.support.durations import least_cpu_s

OURS = b"rollcall_session=abc-DEF_123"
SECURE = SECURE_SESSION_COOKIE.encode()


def filtered(*cookies: bytes) -> list[bytes]:
    headers = [(b"host", b"x"), *((b"cookie", cookie) for cookie in cookies)]
    kept = keep_session_cookie(headers)
    assert kept[0] == (b"host", b"x")
    return [value for name, value in kept[1:] if name == b"cookie"]


@pytest.mark.parametrize(
    "cookies",
    [
        [OURS],
        [b"a=b; " + OURS],
        [OURS + b";c=d"],
        [b"a=b", OURS],
        [b"a=b;" + OURS + b"; " + OURS + b"2"],
        [SECURE + b"=abc-DEF_123"],
        [b"rollcall_session=other; " + SECURE + b"=abc-DEF_123"],
    ],
)
def test_cookie_filter_keeps_the_session_cookie_alone(cookies: list[bytes]) -> None:
    assert filtered(*cookies) == [OURS]


@pytest.mark.parametrize(
    "cookie",
    [
        b"",
        b"a=b",
        b"rollcall_session",
        b"rollcall_session=",
        b'rollcall_session="abc"',
        b"rollcall_session=a\\142c",
        b"rollcall_session=" + b"a" * 101,
        b"ROLLCALL_SESSION=abc",
        b"rollcall_sessions=abc",
        b"rollcall_session=\xe9",
    ],
)
def test_cookie_filter_drops_everything_else(cookie: bytes) -> None:
    assert filtered(cookie) == []


@pytest.mark.parametrize("unit", [b"\\", b";", b"a=b;", b"=", b'"', b" ", b"\xff"])
@pytest.mark.parametrize("prefix", [b"", SESSION_COOKIE.encode() + b'="'])
def test_cookie_filter_takes_little_time(unit: bytes, prefix: bytes) -> None:
    cookie = prefix + unit * (60_000 // len(unit))

    assert least_cpu_s(partial(filtered, cookie), enough_s=0.002) < 0.002


def test_cookie_filter_looks_at_a_limited_number_of_cookies() -> None:
    assert filtered(b"a=b;" * 200 + OURS) == [OURS]
    assert filtered(b"a=b;" * 300 + OURS) == []
    assert filtered(*[b"a=b;" * 30] * 10, OURS) == []
