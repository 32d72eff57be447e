import pytest

from app.ingest.media_type import read_media_type
from app.request_errors import UnsupportedMediaError

DEFAULTS = [
    b"",
    b"text/plain",
    b"text/plain; charset=utf-8",
    b"application/octet-stream",
    b"application/x-www-form-urlencoded",
]


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    "content_type",
    [
        b"application/json",
        b"Application/JSON",
        b" application/json ",
        b"application/json;charset=utf-8",
        b"application/json; charset=UTF-8",
        b'application/json; charset="utf-8"',
        b"application/json; charset=utf8",
        b"application/json; charset=us-ascii",
        b"application/json; version=1; charset=utf-8",
        b"application/json; odetails=x",
        b"application/json;",
        b"application/json, application/json",
        b"application/json,Application/JSON , application/json",
        b"application/cloudevents+json; charset=utf-8",
        b"application/cloudevents-batch+json",
    ],
)
def test_json_in_utf_8_is_read(content_type: bytes, *, lenient: bool) -> None:
    assert read_media_type(content_type, lenient=lenient) == "json"


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/x-ndjson",
        b"application/ndjson; charset=utf-8",
        b"application/jsonl",
        b"application/x-jsonlines",
    ],
)
def test_ndjson_is_read_line_by_line(content_type: bytes) -> None:
    assert read_media_type(content_type, lenient=False) == "ndjson"


@pytest.mark.parametrize("content_type", DEFAULTS)
def test_type_that_clients_set_on_their_own_means_json_on_sdk_routes(
    content_type: bytes,
) -> None:
    assert read_media_type(content_type, lenient=True) == "json"
    with pytest.raises(UnsupportedMediaError):
        read_media_type(content_type, lenient=False)


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    "content_type",
    [
        b"text/json",
        b"application/problem+json",
        b"multipart/form-data; boundary=x",
        b"*/*",
        b"application/json, text/plain",
        b"application/json; charset=latin-1",
        b"application/json; charset=utf-16",
        b"application/json; charset=",
        b"application/json; charset=utf-8; charset=utf-16",
        b"\xff\xfe",
    ],
)
def test_other_type_is_refused(content_type: bytes, *, lenient: bool) -> None:
    with pytest.raises(UnsupportedMediaError):
        read_media_type(content_type, lenient=lenient)


@pytest.mark.parametrize(
    ("content_type", "named"),
    [
        (b"", "is absent"),
        (b"application/x-www-form-urlencoded", "form fields"),
        (b"multipart/form-data; boundary=x", "multipart"),
        (b"text/html", "must be application/json or application/x-ndjson"),
        (b"application/json, text/plain", "several values"),
        (b"application/json; charset=utf-16", "charset"),
    ],
)
def test_refused_type_is_named(content_type: bytes, named: str) -> None:
    with pytest.raises(UnsupportedMediaError, match=named):
        read_media_type(content_type, lenient=False)
