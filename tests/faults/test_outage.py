"""Postgres is away while real SDKs send: they must not even notice."""

import asyncio
import json
import shutil
import sys
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.faults.conftest import NewRow
from tests.support.eventually import eventually
from tests.support.faults import actions
from tests.support.faults.stage import Stage, new_key

SENDERS = ROOT / "tests" / "system" / "senders"
NAMES = (
    "segment_python.py",
    "rudder_python.py",
    "customerio_python.py",
    "segment-node.mjs",
    "rudder-node.mjs",
    "customerio-node.mjs",
    "analytics-node.mjs",
    "jitsu.mjs",
)
RATE = 200


def interpreter(name: str) -> str | None:
    """The interpreter of this sender; None if it is not installed."""
    if name.endswith(".py"):
        return sys.executable
    return shutil.which("node") if (SENDERS / "node_modules").is_dir() else None


async def run_sender(stage: Stage, name: str, key: str, count: int) -> tuple[str, str]:
    """Run a sender; returns the events it counts as delivered, and its complaints."""
    program = interpreter(name)
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        *(program, SENDERS / name, stage.service.address, key),
        *(str(count), str(RATE / len(NAMES))),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaints = await process.communicate()
    return said.decode(), complaints.decode()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("journal", [True], indirect=True, ids=["journal"])
async def test_sdks_do_not_notice_an_outage(
    stage: Stage, new_row: NewRow, *, at_length: bool
) -> None:
    seconds = 60 if at_length else 5
    count = (seconds + 10) * RATE // len(NAMES)
    row = new_row("SDKs", f"Postgres stopped {seconds} s under {RATE} events/s")
    names = [name for name in NAMES if interpreter(name)]
    stage.start()
    keys = {name: await new_key(stage.url, Path(name).stem) for name in names}
    senders = {
        name: asyncio.create_task(run_sender(stage, name, keys[name], count))
        for name in names
    }
    await eventually(partial(have_sent, stage, len(names)))
    await actions.crash_postgres(stage, seconds=seconds)
    for name, sender in senders.items():
        said, complaints = await sender
        delivered = json.loads(said)["delivered"] if said else []
        row.holds(
            f"{name}: delivered, says it",
            met=len(delivered) == count and not complaints,
            measured=f"{len(delivered)} of {count} {complaints[-200:]}".strip(),
        )
    await eventually(partial(stores_again, stage), within_s=90)
    with suppress(TimeoutError):  # the figures tell who misses what
        await eventually(partial(have_stored, stage, count * len(names)))
    found = await stored(stage)
    for name in names:
        row.holds(
            f"{name}: stored once",
            met=found[Path(name).stem]
            == Counter({f"user-{n}": 1 for n in range(count)}),
            measured=f"{found[Path(name).stem].total()} of {count}",
        )
    row.settle()


async def have_sent(stage: Stage, sources: int) -> bool:
    found: int = await stage.postgres.execute(
        "SELECT count(DISTINCT source) FROM events", url=stage.url
    )
    return found >= sources


async def have_stored(stage: Stage, count: int) -> bool:
    found: int = await stage.postgres.execute(
        "SELECT count(*) FROM events", url=stage.url
    )
    return found >= count


async def stores_again(stage: Stage) -> bool:
    """Whether nothing is in the journal any more."""
    status, body = await stage.get("/readyz")
    return status == 200 and json.loads(body)["events"] == "stored"


async def stored(stage: Stage) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {Path(name).stem: Counter() for name in NAMES}
    async with actions.session(stage) as connection:
        for source, user in await connection.fetch(
            "SELECT source, user_id FROM events"
        ):
            found[source][user] += 1
    return found
