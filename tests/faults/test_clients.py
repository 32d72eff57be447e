"""F16 to F18: clients that leave, that dawdle, and that send too much."""

import asyncio
import contextlib
import gzip
import random
import statistics
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.conftest import NewRow
from tests.support.eventually import eventually
from tests.support.faults.actions import lasting, session
from tests.support.faults.attacks import DAWDLERS, HEAD
from tests.support.faults.ledger import Ledger
from tests.support.faults.outsiders import attacking
from tests.support.faults.processor import usage
from tests.support.faults.sender import Line, Load, dial, post
from tests.support.faults.stage import MIB, Stage, status_bytes

LEAVERS = 200


async def test_f16_clients_leave(
    stage: Stage, new_row: NewRow, *, at_length: bool
) -> None:
    row = new_row("F16", "clients leave at a random byte, or before the answer")
    service = stage.start()
    load = Load(service.endpoint, stage.key, rate=0)
    await load.send(load.ledger.new_body(1))
    await settled(stage)
    sockets = sockets_of(stage.pids()[0])
    chance = random.Random(16)
    for _ in range(10 * LEAVERS if at_length else LEAVERS):
        await leave(load, stage.key, chance)
    await load.send(load.ledger.new_body(1))
    await settled(stage)
    row.at_most("sockets leaked", sockets_of(stage.pids()[0]) - sockets, 0)
    row.at_most("connections afterwards", await stage.connections(), 7)
    row.at_most("bodies torn", await halves(stage, load.ledger), 0)
    row.verdict(await load.ledger.check(stage.url))
    row.settle()
    load.close()


async def leave(load: Load, key: str, chance: random.Random) -> None:
    """Send a body of ten, or a part of it, and reset the connection."""
    body = load.ledger.new_body(10)
    request = post(key, body.content)
    line = await dial(load.endpoint)
    load.ledger.begin(body)
    whole = chance.random() < 0.3
    line.send(request if whole else request[: chance.randrange(len(request))])
    if chance.random() < 0.5:
        await lasting(chance.random() * 0.01)
    line.reset()
    load.ledger.end(body, None, b"")


def sockets_of(pid: int) -> int:
    found = 0
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += path.readlink().name.startswith("socket:")
    return found


async def settled(stage: Stage) -> None:
    """Return once all that was sent before this has been dealt with."""
    request = post(stage.key, b"{}", path="/track?dry_run=true")
    for _ in range(3):
        line = await dial(stage.service.endpoint)
        await line.ask(request)
        line.close()
    async with asyncio.timeout(5):
        before = -1
        while before != (before := sockets_of(stage.pids()[0])):
            await lasting(0.2)


async def halves(stage: Stage, ledger: Ledger) -> int:
    """Bodies of which some events are there and some are not."""
    async with session(stage) as connection:
        rows = await connection.fetch("SELECT user_id FROM events")
    users = {row[0] for row in rows}
    counts = (
        (sum(f"user-{number}" in users for number in body.numbers), len(body.numbers))
        for body in ledger.bodies
    )
    return sum(found not in {0, size} for found, size in counts)


@pytest.mark.at_length
@pytest.mark.parametrize("name", DAWDLERS)
@pytest.mark.timeout(240)
async def test_f17_slow_clients(stage: Stage, new_row: NewRow, name: str) -> None:
    count, limit_s = DAWDLERS[name].connections, 10
    row = new_row("F17", f"{count} clients: {name}")
    service = stage.start(
        body_timeout_seconds=str(limit_s),
        header_timeout_seconds=str(limit_s),
        write_timeout_seconds=str(limit_s),
    )
    [worker] = stage.pids()
    loop = asyncio.get_running_loop()
    async with stage.trial(row, rate=50) as trial:
        first = len(trial.load.answers)
        await trial.load.until_confirmed(200)
        quiet = p99(trial.load, first)
        # The sender may have come to need more or fewer of them meanwhile.
        few = sockets_of(worker) + count // 3
        async with attacking(name, service.endpoint, key=stage.key):
            first = len(trial.load.answers)
            before = usage(worker), usage()
            await eventually(lambda: sockets_of(worker) > few + count // 2)
            opened = loop.time()
            await eventually(lambda: sockets_of(worker) <= few)
            elapsed = loop.time() - opened
            busy = p99(trial.load, first)
            waited = (
                (usage(worker) - before[0]).waiting_s,
                (usage() - before[1]).waiting_s,
            )
    row.told("p99", f"{quiet * 1000:.1f} ms quiet, {busy * 1000:.1f} ms beside them")
    row.told(
        "waiting for a processor",
        f"worker {waited[0]:.2f} s, sender {waited[1]:.2f} s of {elapsed:.0f} s",
    )
    row.at_least("they stay for seconds", elapsed, limit_s / 2)
    # One look a second finds them.
    row.seconds("all are closed", elapsed, at_most=limit_s + 3)
    row.ratio("p99 of others", busy / max(quiet, 0.01), at_most=2)
    row.at_most("memory", trial.memory_peak / MIB, 64, " MB")
    row.at_most("other than 2xx and 503/429", trial.disorder, 0)
    row.settle()


def p99(load: Load, first: int) -> float:
    """The 99th percentile of the seconds of each answer since the first of these."""
    seconds = [answer.seconds for answer in load.answers[first:]]
    return statistics.quantiles(seconds, n=100, method="inclusive")[-1]


def chunked(key: str, *headers: str) -> bytes:
    lines = [f"X-Api-Key: {key}", "Transfer-Encoding: chunked", *headers]
    return HEAD + "\r\n".join([*lines, "", ""]).encode()


async def endless_body(line: Line, key: str, size: int) -> None:
    """Chunks of `size` bytes in all, unless the service has had enough of it."""
    line.send(chunked(key))
    await line.flood(b"%x\r\n%b\r\n" % (MIB, b" " * MIB), times=size // MIB)
    line.send(b"0\r\n\r\n")


async def bomb(line: Line, key: str, size: int) -> None:
    """A gzip bomb: one thousandth of the size that it decompresses to."""
    packed = await asyncio.to_thread(lambda: gzip.compress(b" " * size, 6))
    head = f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n"
    line.send(HEAD + f"X-Api-Key: {key}\r\n{head}\r\n".encode())
    line.send(packed)


async def long_header(line: Line, key: str, size: int) -> None:
    line.send(
        HEAD + b"X-Api-Key: %b\r\nX-Long: %b\r\n\r\n" % (key.encode(), b"x" * size)
    )


async def many_headers(line: Line, key: str, size: int) -> None:
    lines = b"".join(b"X-H%d: 12345\r\n" % n for n in range(size))
    line.send(HEAD + b"X-Api-Key: %b\r\n%b\r\n" % (key.encode(), lines))


async def long_body(line: Line, key: str, size: int) -> None:
    line.send(post(key, b'{"event":1}'.ljust(size)))


async def many_events(line: Line, key: str, size: int) -> None:
    line.send(post(key, b"[" + b",".join([b"1"] * size) + b"]"))


LIMIT = 10 * MIB
TOO_BIG = [
    (long_body, LIMIT, {422}, False),
    (long_body, LIMIT + 1, {413}, False),
    (long_body, 10 * LIMIT, {413}, False),
    (many_events, 5_000, {422}, False),
    (many_events, 5_001, {413}, False),
    (endless_body, 50 * MIB, {413}, False),
    (endless_body, 500 * MIB, {413}, True),
    (bomb, 100 * MIB, {413}, False),
    (bomb, 1024 * MIB, {413}, True),
    (long_header, 64 * 1024, {431}, False),
    (many_headers, 10_000, {431}, False),
]


@pytest.mark.timeout(300)
async def test_f18_too_big(stage: Stage, new_row: NewRow, *, at_length: bool) -> None:
    row = new_row("F18", "too big")
    service = stage.start()
    load = Load(service.endpoint, stage.key, rate=0)
    await load.send(load.ledger.new_body(100))
    before = status_bytes(stage.pids()[0], "VmRSS")
    statuses: Counter[str] = Counter()
    for send, size, expected, takes_long in TOO_BIG:
        if takes_long and not at_length:
            continue
        line = await dial(service.endpoint)
        with contextlib.suppress(OSError):
            await send(line, stage.key, size)
        status = await line.status()
        line.close()
        statuses[f"{status}"] += 1
        name = f"{send.__name__.replace('_', ' ')} of {size}"
        row.holds(name, met=status in expected, measured=str(status))
    await load.send(load.ledger.new_body(1))
    load.close()
    grown = status_bytes(stage.pids()[0], "VmHWM") - before
    row.at_most("memory", grown / MIB, 64, " MB")
    row.verdict(await load.ledger.check(stage.url))
    row.settle()
