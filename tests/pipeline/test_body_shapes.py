import gzip
import json
import zlib
from typing import Any

import pytest

from app.pipeline.record import Record
from app.pipeline.unpack import Unpacked, process_events, unpack
from app.request_errors import (
    EmptyBodyError,
    InvalidBodyError,
    InvalidJsonError,
    RequestError,
)
from tests.support.pipeline.verdicts import (
    POLICY,
    RECEIPT,
    SIGNED_UP,
    rejected,
    signed_up_with,
)

ONE = json.dumps(SIGNED_UP).encode()


def read(body: bytes, *, lenient: bool = False, is_ndjson: bool = False) -> Unpacked:
    return unpack(
        body, policy=POLICY, max_events=10, lenient=lenient, is_ndjson=is_ndjson
    )


def refusal(body: bytes, **options: bool) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read(body, **options)
    return caught.value


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (gzip.compress(ONE), "gzip"),
        (zlib.compress(ONE), "deflate"),
        (b"\x28\xb5\x2f\xfd\x00", "zstd"),
        (json.dumps(SIGNED_UP).encode("utf-16"), "UTF-16"),
        (json.dumps(SIGNED_UP).encode("utf-16-le"), "UTF-16"),
        (json.dumps([SIGNED_UP]).encode("utf-16-be"), "UTF-16"),
        (json.dumps(SIGNED_UP).encode("utf-32"), "UTF-32"),
        (b"event=signed_up&user_id=u1", "form fields"),
        (b"payload=%7B%22event%22%3A1%7D", "form fields"),
        (b'--x1\r\nContent-Disposition: form-data; name="event"\r\n', "multipart"),
        (b"<?xml version='1.0'?><event/>", "XML"),
        (b"{'event': 'signed_up'}", "single quotes"),
        (b"[{'event': 'signed_up'}]", "single quotes"),
        (ONE + b"\n" + ONE, "several JSON values"),
        (ONE + ONE, "several JSON values"),
        (ONE + b",\n" + ONE, "several JSON values"),
        (b"[]\r\n[]", "several JSON values"),
    ],
)
@pytest.mark.parametrize("lenient", [False, True])
def test_undecodable_body_of_a_known_shape_is_named(
    body: bytes, named: str, *, lenient: bool
) -> None:
    error = refusal(body, lenient=lenient)
    assert isinstance(error, InvalidJsonError)
    assert named in error.detail


@pytest.mark.parametrize(
    "body", [b"nonsense", b'{"event": }', b'{"a": 1,}', b"{", ONE + b"}", b"\xff{}"]
)
def test_other_undecodable_body_has_line_and_column(body: bytes) -> None:
    assert "line 1, column" in refusal(body).detail


@pytest.mark.parametrize("body", [b"", b" \r\n\t", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("lenient", [False, True])
def test_empty_body_is_named(body: bytes, *, lenient: bool) -> None:
    error = refusal(body, lenient=lenient)
    assert isinstance(error, EmptyBodyError)
    assert "is empty" in error.detail


def test_byte_order_mark_is_skipped() -> None:
    assert read(b"\xef\xbb\xbf" + ONE).events == [SIGNED_UP]


def test_text_that_contains_json_is_named() -> None:
    body = json.dumps(ONE.decode()).encode()
    error = refusal(body)
    assert isinstance(error, InvalidBodyError)
    assert "encoded twice" in error.detail
    assert "encoded twice" in rejected(body).errors[0].message


def test_text_without_json_is_not_called_json() -> None:
    for body in (b'"text"', b'"{not json"', b'"[1"'):
        assert "encoded twice" not in refusal(body).detail


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ({"events": [SIGNED_UP]}, "`events`"),
        ({"data": [{"event": "signed_up"}], "key": "x"}, "`data`"),
        ({"batch": json.dumps([SIGNED_UP])}, "`batch` is text that contains JSON"),
    ],
)
def test_list_under_another_key_is_named(event: dict[str, Any], named: str) -> None:
    [error] = [e for e in rejected(event).errors if e.path == "event"]
    assert error.code == "missing_field"
    assert named in error.message


def test_list_of_values_is_not_called_a_list_of_events() -> None:
    values: list[Any] = [[], ["a"], [[{}]]]
    for value in values:
        errors = rejected({"tags": value}).errors
        assert not any("`tags`" in error.message for error in errors)


def test_ndjson_has_an_event_a_line() -> None:
    other = signed_up_with(user_id="u2")
    lines = [ONE, b"", b'[{"event": "x"}]', json.dumps({"batch": [other]}).encode()]
    events = read(b"\r\n".join(lines) + b"\n", is_ndjson=True).events
    assert events == [SIGNED_UP, {"event": "x"}, other]


def test_ndjson_line_is_exact_where_it_has_to_be() -> None:
    odd = b'{"n": NaN, "d": 9007199254740993.0}'
    unpacked = read(ONE + b"\n" + odd, is_ndjson=True)
    assert not unpacked.body.plain
    assert str(unpacked.events[1]["d"]) == "9007199254740993.0"


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (ONE + b"\n{", "Line 2:"),
        (b"\n\n{'a': 1}", "Line 3: The body has single quotes"),
        (ONE + b"\n" + ONE + b" " + ONE, "Line 2: The body has several"),
    ],
)
def test_ndjson_line_that_is_no_json_is_named(body: bytes, line: str) -> None:
    assert refusal(body, is_ndjson=True).detail.startswith(line)


def test_idempotency_key_names_no_line_of_ndjson() -> None:
    entries = process_events(
        read(ONE, is_ndjson=True),
        request_context=RECEIPT._replace(idempotency_key="key"),
        policy=POLICY,
    )
    [entry] = entries
    assert isinstance(entry, Record)
    assert entry.message_id is None
