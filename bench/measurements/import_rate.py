"""How fast `rollcall import` is, beside asyncpg with the same statement and rows.

    .venv/bin/python -m bench.measurements.import_rate [--events 1000000] [--parts 4]

Starts a durable Postgres of its own, writes the events to temporary files, and takes
these in turn, so that whatever else the machine does falls on both: the rows (judged
beforehand, untimed) by a bare loop of asyncpg into one database, and the file by the
command, with its start, into another. Then the first file once more, which stores
nothing, and an export of all. Figures hold for their machine; compare the ratio.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from app.embedded import Cluster, running
from app.pipeline.json_decode import decode
from app.pipeline.process import process_event
from app.pipeline.record import BodyTraits, Policy, Record, RequestContext
from app.pipeline.timestamp import TimestampPolicy
from app.settings import child_environment
from app.store.migrations import migrate
from app.store.write.insert import CLAIM_AND_STORE, insert_parameters
from bench.database import BenchmarkError

_BATCH = 1_000
_SOURCE = "bench"


class Run(NamedTuple):
    """A command that has ended: its wall clock, and the most memory it held."""

    seconds: float
    peak_mib: float


def write_events(path: Path, *, first: int, count: int) -> None:
    """Write events of about 300 bytes each; the same ones in every run."""
    draw = random.Random(first)
    with path.open("w") as file:
        for number in range(first, first + count):
            file.write(json.dumps(_event(number, draw)) + "\n")


def _event(number: int, draw: random.Random) -> dict[str, Any]:
    mail = f"user{number}@example.com"
    event = {
        "user_id": str(uuid.UUID(int=draw.getrandbits(128))),
        "message_id": f"msg-{draw.getrandbits(64):016x}",
        "timestamp": f"2023-{number % 12 + 1:02}-02T00:30:08.{number % 1000:03}Z",
        "context": {"group_id": f"account-{number % 1000}"},
    }
    if number % 2:
        properties = {"email": mail, "name": f"User {number}", "first_name": "User"}
        return {
            "event": "signed_up",
            "properties": properties | {"plan": "pro"},
        } | event
    properties = {"user_name": f"User {number}", "user_email": mail}
    return {
        "event": "account_added_user",
        "properties": properties | {"user_role": "Developer"},
    } | event


def judged_batches(path: Path) -> Iterator[list[Record]]:
    """The rows of a file, as many at a time as the command commits."""
    request_context = RequestContext(_SOURCE, datetime.now(UTC), "bench")
    policy = Policy(TimestampPolicy())
    body = BodyTraits(plain=True, deep=False, large=False)
    with path.open("rb") as file:
        while lines := list(islice(file, _BATCH)):
            records = []
            for line in lines:
                value = decode(line, max_depth=policy.max_depth).value
                record = process_event(
                    value, request_context=request_context, policy=policy, body=body
                )
                if not isinstance(record, Record):
                    raise BenchmarkError(f"An event was rejected: {record}")
                records.append(record)
            yield records


async def insert_directly(url: str, path: Path) -> float:
    """Insert the rows of a file in a bare loop; returns the seconds of that alone."""
    connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
    await connection.execute("SET synchronous_commit = on; SET jit = off")
    seconds = 0.0
    for records in judged_batches(path):
        parameters = insert_parameters(records)
        began = time.perf_counter()
        known = await connection.fetch(CLAIM_AND_STORE, *parameters)
        seconds += time.perf_counter() - began
        if known:
            raise BenchmarkError("Events of the file are stored already.")
    await connection.close()
    return seconds


def run_command(url: str, *arguments: str | Path) -> Run:
    """Run `rollcall` on a database, to its end."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("rollcall"), *arguments],
        env=child_environment(ROLLCALL_DATABASE_URL=url),
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status != 0:
        raise BenchmarkError(f"rollcall {arguments[0]} ended with status {status}.")
    return Run(time.perf_counter() - began, usage.ru_maxrss / 1024)


async def make_database(cluster: Cluster, name: str) -> str:
    """Make an empty database at the newest schema; returns its URL."""
    url = cluster.url("postgres").replace("+asyncpg", "", 1)
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    await migrate(cluster.url(name))
    return cluster.url(name)


def measure(directory: Path, *, events: int, parts: int) -> None:
    """Measure, and print the figures."""
    size = events // parts
    paths = [directory / f"part{number}.ndjson" for number in range(parts)]
    for number, path in enumerate(paths):
        write_events(path, first=number * size, count=size)
    total_bytes = sum(path.stat().st_size for path in paths)
    direct_s = 0.0
    imports: list[Run] = []
    with running(directory / "state") as cluster:
        bare = asyncio.run(make_database(cluster, "bare"))
        full = asyncio.run(make_database(cluster, "imported"))
        for path in paths:
            direct_s += asyncio.run(insert_directly(bare, path))
            imports.append(run_command(full, "import", "--source", _SOURCE, path))
        again = run_command(full, "import", "--source", _SOURCE, paths[0])
        target = directory / "all.ndjson"
        exported = run_command(full, "export", "--output", target)
    rows = size * parts
    import_s = sum(run.seconds for run in imports)
    peak = max(run.peak_mib for run in imports)
    exported_rate, peak_out = rows / exported.seconds, exported.peak_mib
    for line in (
        f"{rows:,} events of {total_bytes / rows:.0f} bytes, in {parts} parts",
        f"asyncpg alone  {rows / direct_s:10,.0f} rows/s",
        f"import         {rows / import_s:10,.0f} rows/s, peak {peak:.0f} MiB",
        f"ratio          {direct_s / import_s:10.2f}",
        f"import again   {size / again.seconds:10,.0f} rows/s",
        f"export         {exported_rate:10,.0f} rows/s, peak {peak_out:.0f} MiB",
    ):
        sys.stdout.write(line + "\n")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--parts", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollcall-bench-") as name:
        directory = Path(name)
        # Postgres runs as another user if we are root, and must get to its files.
        directory.chmod(0o711)
        measure(directory, events=arguments.events, parts=arguments.parts)


if __name__ == "__main__":
    main()
