"""Events that are hard to keep, with text, numbers and times of all kinds."""

import json
import random
from collections.abc import Iterator
from typing import Any

_TEXTS = [
    "=1+1", "'=1", "''-x", "@SUM(A1)", "+1", "-1", "\t=", "a,b;c|d", 'a"b""c', "a\nb",
    "a\r\nb", "\r", "line\u2028sep", "\ufeffbom", "\u202ertl", "\U0001f600", "\uff1d1",
    "<script>alert(1)</script>", "' OR 1=1 --", "\\N", "NULL", "1.23E+11", "42.0",
    "007", " padded ", "\x00nul", "\ud800", "\\u0000", "%00", "{{x}}", "${x}",
    "caf\xe9", "cafe\u0301", "\u0130", "undefined", "true", "0x1F", "1e400", "x" * 255,
    "\x7f\x85",
]  # fmt: skip
_NUMBERS = [
    "0", "-0", "-0.0", "1.0", "1.50", "1e5", "1E-7", "9007199254740993",
    "123456789012345678901234567890", "0.1234567890123456789012", "1e300",
    "100000000000000000000000.5", "12345678901234567890.123456789", "NaN", "-Infinity",
]  # fmt: skip
_TIMES = [
    '"2023-11-02T00:30:08.276Z"', '"2023-11-02T01:30:08.276543+01:00"', '"2023-11-02"',
    '"20-11-23T22:28:55.111Z"', '"2023-11-02 00:30:08"', '"20231102T003008Z"',
    '"2023-11-02T00:30:08.123456789Z"', '"2016-12-31T23:59:60Z"', "1698885008",
    "1698885008276", "1698885008.0", "1698885008.2765432", '"2023-11-02 00:30:08 UTC"',
    '"Thu, 02 Nov 2023 00:30:08 GMT"', '"2023-11-02T24:00:00Z"', '"1698885008"',
    '"2023-11-02T01:30:08.276+01:00[Europe/Berlin]"', '"soon"', "0",
]  # fmt: skip


def hostile_lines(count: int, *, seed: int = 1) -> Iterator[str]:
    """That many events as lines of JSON; a few are rejected.

    Args:
        count: of lines.
        seed: the same one gives the same events.
    """
    draw = random.Random(seed)
    for number in range(count):
        yield _event(number, draw)


def _event(number: int, draw: random.Random) -> str:
    is_signup = draw.random() < 0.5
    fields = {
        _any(draw, "event", "event_name"): json.dumps(
            _any(draw, "signed_up", "Signed Up")
            if is_signup
            else _any(draw, "account_added_user", "Account Added User")
        ),
        _any(draw, "user_id", "userId"): _id(draw, number),
        "properties": _properties(draw, is_signup=is_signup),
    }
    if draw.random() < 0.9:
        fields[_any(draw, "timestamp", "timestamp", "originalTimestamp")] = draw.choice(
            _TIMES
        )
    if draw.random() < 0.5:
        fields[_any(draw, "message_id", "messageId")] = _id(draw, number)
    group = {_any(draw, "group_id", "groupId"): _id(draw, number)}
    if draw.random() < 0.5:
        fields["context"] = _object(group | _values(draw))
    elif not is_signup or draw.random() < 0.5:
        fields |= group
    if draw.random() < 0.3:
        fields |= {_any(draw, "extra", "id", "Plan", "source", "x y"): _value(draw)}
    return _object(fields)


def _properties(draw: random.Random, *, is_signup: bool) -> str:
    mail = json.dumps(draw.choice(["a@b.c", "j\xf6rg@example.com", "'='@x"]))
    values = _values(draw) | {_any(draw, "name", "user_name"): _text(draw)}
    if is_signup:
        return _object(values | {_any(draw, "email", "user_email"): mail})
    return _object(values | {_any(draw, "role", "user_role"): _text(draw)})


def _id(draw: random.Random, number: int) -> str:
    if draw.random() < 0.2:
        return str(number)
    return json.dumps((draw.choice(_TEXTS)[:240] if number % 3 else "u") + f"-{number}")


def _values(draw: random.Random) -> dict[str, str]:
    return {
        draw.choice(["n", "m", "=k", 'q"', "\uff1d", "a.b"]): _value(draw)
        for _ in range(draw.randrange(3))
    }


def _value(draw: random.Random) -> str:
    kind = draw.randrange(5)
    if kind == 0:
        return _text(draw)
    if kind == 1:
        return draw.choice(_NUMBERS)
    if kind == 2:
        return draw.choice(["null", "true", "[]", "{}", '""'])
    if kind == 3:
        return f"[{_text(draw)}, {draw.choice(_NUMBERS)}]"
    return _object({"a": draw.choice(_NUMBERS), "b": _text(draw)})


def _text(draw: random.Random) -> str:
    return json.dumps(draw.choice(_TEXTS))


def _any(draw: random.Random, *names: str) -> str:
    return draw.choice(names)


def _object(fields: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{json.dumps(k)}: {v}" for k, v in fields.items()) + "}"
