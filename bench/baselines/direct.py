"""The limit of the database: batches from asyncpg, or COPY, without HTTP."""

import gc
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import asyncpg
import uvloop

from app.pipeline.record import Policy, Record, RequestContext
from app.pipeline.timestamp import TimestampPolicy
from app.pipeline.unpack import process_events, unpack
from app.store.dsn import dsn_of
from app.store.quarantine.issues_json import stored_warnings
from app.store.write.insert import insert_parameters
from bench.baselines.ways import (
    COLUMNS,
    PREPARATIONS,
    TABLES,
    Way,
    array_parameters,
    statement_of,
)
from bench.database import SOURCE, BenchmarkError, run
from bench.load.bodies import bodies, yesterday

BATCH = 100
_PATIENCE_S = 300
_TIMEOUT_S = 60.0

Columns = Sequence[Any]


class _Share(NamedTuple):
    """What one process stores."""

    url: str
    first: int
    events: int
    way: Way


def store(
    url: str, *, first: int, events: int, connections: int, way: Way = "insert"
) -> float:
    """Store events from as many processes as connections; every event is made before.

    Args:
        url: of a database at the newest schema.
        first: number of the first event.
        events: how many, a multiple of `BATCH` times the connections; as many as one
            batch a connection come on top, to warm up.
        connections: one for each process, as each worker of the service has one.
        way: one transaction or one statement for each batch of 100, or one COPY for all
            of a process.

    Returns:
        Events a second, from the first statement to the last commit.

    Raises:
        BenchmarkError: a process failed, or not every event was new.
    """
    for statement in PREPARATIONS[way]:
        run(url, statement)
    each = events // connections
    shares = [
        _Share(url, first + number * (each + BATCH), each, way)
        for number in range(connections)
    ]
    spans = _work_side_by_side(shares)
    began, ended = min(b for b, _ in spans), max(e for _, e in spans)
    return each * connections / (ended - began)


def _work_side_by_side(shares: list[_Share]) -> list[tuple[float, float]]:
    """When each process began and ended; they begin once all of them are ready."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for share in shares:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(share, theirs), daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        for pipe in pipes:
            _receive(pipe)
        for pipe in pipes:
            pipe.send("go")
        return [_receive(pipe) for pipe in pipes]
    finally:
        for process in processes:
            process.kill()
            process.join()


def _receive(pipe: Connection) -> Any:
    try:
        if pipe.poll(_PATIENCE_S):
            return pipe.recv()
    except EOFError:
        pass
    raise BenchmarkError("A process that stores directly failed or took too long.")


def _work(share: _Share, pipe: Connection) -> None:
    uvloop.run(_work_in_time(share, pipe))


async def _work_in_time(share: _Share, pipe: Connection) -> None:
    batches = _make_batches(share.first, share.events // BATCH + 1, way=share.way)
    connection = await asyncpg.connect(dsn_of(share.url), command_timeout=_TIMEOUT_S)
    await connection.execute("SET jit = off")
    if share.way == "copy":
        work = await _prepare_copy(connection, batches)
    else:
        work = await _prepare_insert(connection, share.way, batches)
    gc.collect()
    gc.freeze()  # what lies ready is not searched again and again
    pipe.send("ready")
    pipe.recv()
    began = time.monotonic()
    await work()
    pipe.send((began, time.monotonic()))
    await connection.close()


async def _prepare_insert(
    connection: asyncpg.Connection, way: Way, batches: list[Columns]
) -> Callable[[], Awaitable[None]]:
    statement = await connection.prepare(statement_of(way))
    await statement.fetch(*batches.pop())
    begin = nullcontext if way == "statement" else connection.transaction
    return partial(_insert, statement, batches, begin)


async def _insert(
    statement: Any,
    batches: list[Columns],
    begin: Callable[[], AbstractAsyncContextManager[object]],
) -> None:
    for batch in batches:
        async with begin():
            known = await statement.fetch(*batch)
        if known:
            raise BenchmarkError(f"Of {BATCH} new events {len(known)} were known.")


async def _prepare_copy(
    connection: asyncpg.Connection, batches: list[Columns]
) -> Callable[[], Awaitable[None]]:
    rows = [row for batch in batches for row in zip(*batch, strict=True)]
    copy = partial(connection.copy_records_to_table, TABLES["copy"], columns=COLUMNS)
    await copy(records=rows[:BATCH])
    return partial(copy, records=rows[BATCH:])


def _make_batches(first: int, count: int, *, way: Way) -> list[Columns]:
    """The columns of each batch, made by the service's own pipeline."""
    policy = Policy(TimestampPolicy())
    request_context = RequestContext(SOURCE, datetime.now(UTC), "bench")
    batches: list[Columns] = []
    for body in bodies(first, count, batch=BATCH, day=yesterday()):
        unpacked = unpack(body, policy=policy, max_events=BATCH, lenient=False)
        entries = process_events(
            unpacked, request_context=request_context, policy=policy
        )
        records = [entry for entry in entries if isinstance(entry, Record)]
        if way == "insert":
            batches.append(array_parameters(records))
        elif way == "statement":
            batches.append(insert_parameters(records))
        else:
            batches.append([[_value(r, name) for r in records] for name in COLUMNS])
    return batches


def _value(record: Record, name: str) -> Any:
    value = getattr(record, name)
    return stored_warnings(value) if name == "warnings" else value
