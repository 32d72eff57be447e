import asyncio
import io
import json
import logging
import re

import pytest
from typing_extensions import Buffer, override

from app.logs import RequestLog, TextFormatter, fields


class Disk(io.BytesIO):
    """A file on a disk that can be full."""

    full = False

    @override
    def write(self, data: Buffer, /) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(data)


@pytest.fixture
def disk() -> Disk:
    return Disk()


def numbers(disk: Disk) -> list[int]:
    return [json.loads(line)["n"] for line in disk.getvalue().splitlines()]


async def test_each_request_is_logged_within_two_loop_turns(disk: Disk) -> None:
    requests = RequestLog(disk, enabled=True)
    for n in range(3):
        requests.add(n=n)
    await asyncio.sleep(0)
    requests.add(n=3)
    await asyncio.sleep(0)

    assert numbers(disk) == [0, 1, 2, 3]


async def test_log_lines_are_dropped_on_a_full_disk(
    disk: Disk,
) -> None:
    requests = RequestLog(disk, enabled=True)
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda *told: failures.append(told)
    )
    disk.full = True
    for n in range(3):
        requests.add(n=n)
        await asyncio.sleep(0)
    disk.full = False
    requests.add(n=3)
    await asyncio.sleep(0)

    assert numbers(disk) == [3]
    assert failures == []


async def test_disabled_log_makes_no_lines(disk: Disk) -> None:
    RequestLog(disk, enabled=False).add(n=1)
    await asyncio.sleep(0)

    assert disk.getvalue() == b""


async def test_terminal_gets_plain_text_without_control_characters() -> None:
    stream = io.BytesIO()
    requests = RequestLog(stream, enabled=True, is_text=True)
    requests.add(status=404, path="/\x1b[2Jé\n", source=None)
    await asyncio.sleep(0)

    line = stream.getvalue().decode()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d info    request status=404 path=/\?\[2Jé\?\n", line
    )


def test_text_formatter_shows_fields_and_traceback() -> None:
    record = logging.makeLogRecord(
        {"msg": "worker ended", "levelname": "ERROR", **fields(pid=7)}
    )
    record.exc_info = (ValueError, ValueError("why"), None)
    first, *rest = TextFormatter().format(record).splitlines()
    assert first.endswith(" error   worker ended pid=7")
    assert rest == ["ValueError: why"]
