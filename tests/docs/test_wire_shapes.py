"""docs/wire.md: every row of the table of wrong shapes is sent to `/track`."""

import gzip
import json
import re
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from app.events.envelope import SDK_FIELDS
from app.pipeline.fields.placeholders import WORDS as PLACEHOLDERS
from app.request_errors import RequestError
from tests.support.docs.markdown import blocks, read, section, table
from tests.support.ingest.tracking import KEY, Bench
from tests.support.pipeline.verdicts import SIGNED_UP

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

AUTHORIZATION = (b"authorization", b"Bearer " + KEY.encode())
WIRE = read("docs/wire.md")
ROWS = table(WIRE, "Wrong shapes of a body")
EVENT = json.dumps(SIGNED_UP)
CLOUDEVENT = json.dumps(
    {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/billing",
        "type": "com.example.signed_up",
        "userid": "u1",
        "data": {"email": "ann@example.com", "name": "Ann"},
    }
)
MULTIPART = '--x\r\nContent-Disposition: form-data; name="event"\r\n\r\nsigned_up'
WORDS = {
    "CLOUDEVENT": CLOUDEVENT,
    "MULTIPART": MULTIPART,
    "EVENT": EVENT,
    "DATA": json.dumps({"email": "ann@example.com"}),
    "EMPTY": "",
    " NEWLINE ": "\n",
    "BOM ": "\ufeff",
}


def raw_deflate(text: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(text) + packer.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "raw_deflate": raw_deflate,
    "zstd": zstd.compress,
    "utf_16": lambda text: text.decode().encode("utf-16"),
    "utf_16_le": lambda text: text.decode().encode("utf-16-le"),
}


def spelt(cell: str) -> str:
    """The cell with each word replaced by the text that it stands for."""
    for word, text in WORDS.items():
        cell = cell.replace(word, text)
    return cell


def body_of(cell: str) -> bytes:
    """The bytes that a cell of the column `body` stands for."""
    cell = cell.strip("`")
    packed = re.findall(r"(\w+)\(EVENT\) ?", cell)
    if packed and packed[0] in PACKERS:
        return b"".join(PACKERS[name](EVENT.encode()) for name in packed)
    encoded = re.sub(
        r"text\(([^)]*)\)", lambda match: json.dumps(spelt(match[1])), cell
    )
    return spelt(encoded).encode()


def headers_of(cell: str) -> list[tuple[bytes, bytes]]:
    pairs = [header.partition(": ") for header in re.findall("`([^`]+)`", cell)]
    return [(name.lower().encode(), value.encode()) for name, _, value in pairs]


def plain(text: str) -> str:
    return text.replace("`", "").lower()


@pytest.mark.parametrize("row", ROWS, ids=[row["shape"] for row in ROWS])
async def test_shape_is_answered_as_documented(row: dict[str, str]) -> None:
    bench = Bench()
    bench.writer.start()
    status, rest = row["response"].split(" ", 1)
    headers = headers_of(row["headers"])
    try:
        response, _ = await bench.track(
            body_of(row["body"]), headers=[AUTHORIZATION, *headers]
        )
    except RequestError as error:
        response = error.args[0]
    finally:
        await bench.writer.stop()

    answered = json.loads(response.body)
    assert response.status == int(status), answered
    code, _, said = rest.partition(": ")
    if code == "`stored`":
        assert {result["status"] for result in answered["results"]} == {"stored"}
    else:
        assert answered["code"] == code.strip("`")
        assert plain(said) in plain(answered["message"])


def test_sdk_sample_makes_an_event_of_this_source() -> None:
    [sample] = [block for block in blocks(WIRE, "python") if "CloudEvent" in block]
    made: dict[str, Any] = {}
    exec(sample, made)  # noqa: S102 - our own document
    message = made["message"]
    event = json.loads(message.body)
    assert event["specversion"] == "1.0"
    assert "signed_up" in event["type"]


def test_placeholders_are_all_listed() -> None:
    listed = re.findall("`([^`]+)`", section(WIRE, "Placeholders").split("|", 1)[1])
    for word in PLACEHOLDERS:
        assert word in {text.lower() for text in listed}


def test_known_sdk_fields_are_all_listed() -> None:
    [line] = [
        line
        for line in section(WIRE, "Unknown fields").splitlines()
        if line.startswith("These fields of SDKs")
    ]
    assert set(re.findall("`([^`]+)`", line)) == SDK_FIELDS
