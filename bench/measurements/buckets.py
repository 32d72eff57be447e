"""A single server and shards in turn, without HTTP.

    python -m bench.measurements.buckets SINGLE DISTRIBUTED

Each side stores batches with the service's own committers, one for each bucket, as its
lanes do; on both sides the same number works at once. Both databases are empty,
migrated ones.
"""

import asyncio
import gc
import multiprocessing
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from multiprocessing.connection import Connection

import uvloop
from rich.console import Console

from app.pipeline.record import Policy, Record, RequestContext
from app.pipeline.timestamp import TimestampPolicy
from app.pipeline.unpack import process_events, unpack
from app.store.engine import create_engine
from app.store.operator_session import in_operator_transaction
from app.store.shards.buckets import Buckets, read_buckets
from app.store.shards.committer import committer_of
from app.store.write.insert import STORED
from bench.database import SOURCE, BenchmarkError
from bench.load.bodies import bodies, yesterday

_PROCESSES = 2
_WRITERS = 4
_SIZES = {100: 60, 1_000: 8}  # batches of each writer
_ROUNDS = 3
_PLANNED = 6
_BODY = 500


def main(single: str, distributed: str) -> None:
    """Measure both in turn, and print medians and their ratio."""
    console = Console()
    first = count(time.time_ns() // 1000, 10_000_000)
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    for number in range(1, _ROUNDS + 1):
        for size, batches in _SIZES.items():
            for name, url in (("single", single), ("citus", distributed)):
                rate = measure(url, next(first), size=size, batches=batches)
                rates[name, size].append(rate)
                console.print(f"{number} {name} {size}: {rate:,.0f}/s")
    for size in _SIZES:
        alone, spread = (
            statistics.median(rates[name, size]) for name in ("single", "citus")
        )
        console.print(f"{size}: {alone:,.0f} and {spread:,.0f}/s, {spread / alone:.2f}")


def measure(url: str, first: int, *, size: int, batches: int) -> float:
    """Events a second, from the first statement to the last commit."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for number in range(_PROCESSES):
        ours, theirs = context.Pipe()
        arguments = (url, first + number * 1_000_000, size, batches, theirs)
        process = context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        pipes.append(ours)
        processes.append(process)
    try:
        for pipe in pipes:
            pipe.recv()
        for pipe in pipes:
            pipe.send("go")
        spans = [pipe.recv() for pipe in pipes]
    finally:
        for process in processes:
            process.kill()
            process.join()
    began, ended = min(b for b, _ in spans), max(e for _, e in spans)
    seconds: float = ended - began
    return _PROCESSES * _WRITERS * batches * size / seconds


def _work(url: str, first: int, size: int, batches: int, pipe: Connection) -> None:
    uvloop.run(_work_on(url, first, size, batches, pipe))


async def _work_on(
    url: str, first: int, size: int, batches: int, pipe: Connection
) -> None:
    buckets = await in_operator_transaction(url, read_buckets)
    lanes = max(_WRITERS, len(buckets.numbers))
    engine = create_engine(url, pool_size=lanes)
    committers = [committer_of(engine, buckets, timeout_s=60) for _ in range(lanes)]
    ready = _by_lane(_batches(first, buckets, size), buckets)
    waiting = set(committers)
    while waiting:
        lane, batch = next(ready)
        waiting.discard(committers[lane])
        # Postgres keeps a plan from the sixth time on.
        for place in range(_PLANNED):
            await committers[lane].commit([*batch[place::_PLANNED]])
    shares: list[list[tuple[int, list[Record]]]] = [[] for _ in range(_WRITERS)]
    while min(map(len, shares)) < batches:
        lane, batch = next(ready)
        shares[lane % _WRITERS].append((lane, batch))
    gc.collect()
    gc.freeze()
    pipe.send("ready")
    pipe.recv()
    began = time.monotonic()

    async def store(share: list[tuple[int, list[Record]]]) -> None:
        for lane, batch in share[:batches]:
            outcomes = await committers[lane].commit([*batch])
            if outcomes != [STORED] * size:
                raise BenchmarkError("Not every event was new and stored.")

    await asyncio.gather(*map(store, shares))
    pipe.send((began, time.monotonic()))
    for committer in committers:
        await committer.release()
    await engine.dispose()


def _by_lane(
    batches: Iterator[list[Record]], buckets: Buckets
) -> Iterator[tuple[int, list[Record]]]:
    """The lane of each batch: that of its bucket, or in turn where there is one."""
    for number, batch in enumerate(batches):
        bucket = buckets.of(batch[0].user_id)
        place = buckets.numbers.index(bucket)
        yield number % _WRITERS if buckets.is_one else place, batch


def _batches(first: int, buckets: Buckets, size: int) -> Iterator[list[Record]]:
    """Batches of records, all of one bucket; the buckets take turns."""
    policy = Policy(TimestampPolicy())
    context = RequestContext(SOURCE, datetime.now(UTC), "bench")
    waiting: dict[int, list[Record]] = {number: [] for number in buckets.numbers}
    for body in bodies(first, 10_000, batch=_BODY, day=yesterday()):
        unpacked = unpack(body, policy=policy, max_events=_BODY, lenient=False)
        for entry in process_events(unpacked, request_context=context, policy=policy):
            if isinstance(entry, Record):
                waiting[buckets.of(entry.user_id)].append(entry)
        for records in waiting.values():
            while len(records) >= size:
                yield records[:size]
                del records[:size]


if __name__ == "__main__":
    main(*sys.argv[1:])
