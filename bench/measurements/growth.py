"""How the insert rate holds as the tables grow, and what they weigh."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from rich.console import Console

from bench.baselines import direct
from bench.baselines.ways import PREPARATIONS, TABLES, Way
from bench.database import BenchmarkError, Server, run
from bench.filling import fill

_CONNECTIONS = 2
# A checkpoint makes the next change of each page write the whole page. This many
# events later nearly all pages of the largest index have been through that.
_BETWEEN = 3
# Each relation as its parent, with its bytes: partitions count together.
_SIZES = """
SELECT coalesce(parent.relname, part.relname) AS name, part.relkind = 'i' AS is_index,
    sum(pg_relation_size(part.oid))::bigint AS bytes
FROM pg_class AS part
LEFT JOIN pg_inherits ON inhrelid = part.oid
LEFT JOIN pg_class AS parent ON parent.oid = inhparent
WHERE part.relkind IN ('r', 'i')
    AND coalesce(parent.relname, part.relname) ~ '^{pattern}'
GROUP BY 1, 2 ORDER BY 2, 1
"""


_NAMES: dict[Way, str] = {"insert": "event(s|_ids)", "plain": "plain_"}


class Relation(NamedTuple):
    """A table or an index, with the bytes of all its partitions."""

    name: str
    is_index: bool
    size: int


@dataclass(frozen=True, slots=True)
class Stage:
    """What was seen at one size.

    Attributes:
        rows: before the first measurement; each adds some.
        after_checkpoint: events a second of each cycle, right after a checkpoint.
        steady: the same, long after it.
        relations: at the end; none at size 0, where each cycle has new tables.
    """

    rows: int
    after_checkpoint: list[float]
    steady: list[float]
    relations: list[Relation]


@dataclass(slots=True)
class Growing:
    """A measurement of one form of storage.

    Attributes:
        server: the Postgres.
        way: `insert` for events and event_ids, `plain` for one table to compare with.
        events: of one measurement.
        cycles: measurements at each size.
        progress: is told what takes long.
    """

    server: Server
    way: Way
    events: int
    cycles: int
    progress: Console
    _next: int = 0

    def measure(self, sizes: Sequence[int]) -> Iterator[Stage]:
        """Measure at each size, the smallest first.

        Raises:
            BenchmarkError: rows are missing.
        """
        if 0 in sizes:
            yield self._measure_empty()
        now = datetime.now(UTC)
        with self._database() as url:
            newer = measured = 0
            for rows in sorted(set(sizes) - {0}):
                self.progress.print(f"Filling up to {rows:,} rows ...")
                fill(url, newer=newer, rows=rows, now=now, way=self.way)
                newer, before = rows, self._next
                yield self._measure_at(url, rows + measured)
                measured += self._next - before
                self._check(url, rows + measured)

    @contextmanager
    def _database(self) -> Iterator[str]:
        with self.server.database() as url:
            for statement in PREPARATIONS[self.way]:
                run(url, statement)
            yield url

    def _measure_empty(self) -> Stage:
        rates = []
        for _ in range(self.cycles):
            with self._database() as url:
                rates.append(self._cycle(url))
        return Stage(0, *_columns(rates), relations=[])

    def _measure_at(self, url: str, rows: int) -> Stage:
        rates = [self._cycle(url) for _ in range(self.cycles)]
        sizes = _SIZES.format(pattern=_NAMES[self.way])
        relations = [Relation(*row) for row in run(url, sizes)]
        return Stage(rows, *_columns(rates), relations=relations)

    def _cycle(self, url: str) -> tuple[float, float]:
        self.server.checkpoint()
        after = self._insert(url, self.events)
        self._insert(url, self.events * _BETWEEN)
        steady = self._insert(url, self.events)
        self.progress.print(f"  {after:,.0f}/s after a checkpoint, {steady:,.0f}/s on")
        return after, steady

    def _insert(self, url: str, events: int) -> float:
        first = self._next
        self._next += events + direct.BATCH * _CONNECTIONS
        return direct.store(
            url, first=first, events=events, connections=_CONNECTIONS, way=self.way
        )

    def _check(self, url: str, wanted: int) -> None:
        [[rows]] = run(url, f"SELECT count(*) FROM {TABLES[self.way]}")
        if rows != wanted:
            raise BenchmarkError(f"{wanted} rows were written, {rows} are there.")


def _columns(rates: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [after for after, _ in rates], [steady for _, steady in rates]
