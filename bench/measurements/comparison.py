"""How one run of each scenario goes, and what makes it void."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from bench.baselines import direct
from bench.baselines.ways import TABLES, Way
from bench.database import BenchmarkError, Server, run
from bench.load.bodies import Requests
from bench.load.open_loop import Latency, send_on_time
from bench.load.scenarios import CAPACITY, CONNECTIONS, HALF, WARM_UP_S, Scenario
from bench.load.wrk import Answers, saturate
from bench.machine import busy_seconds
from bench.process import (
    ROLLCALL,
    Process,
    rollcall_environment,
    started,
    wait_ready,
)

# As many events as others store in about as long; in whole batches of two processes.
_DIRECT_PER_S = 50_000

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What every run needs.

    Attributes:
        server: the Postgres.
        seconds: of each measurement.
        files: the requests, by events in a body.
    """

    server: Server
    seconds: int
    files: dict[int, Requests]

    def measure(self, scenario: Scenario) -> Figures:
        """Run one scenario on a fresh database, right after a checkpoint.

        Raises:
            BenchmarkError: the run proves nothing: rows and answers differ, say.
        """
        with self.server.database() as url:
            match scenario.kind:
                case "rollcall" | "baseline" | "echo":
                    figures, answered = self._load(scenario, url)
                    _check_rows(url, scenario, answered=answered)
                    return figures
                case way:
                    return self._store_directly(url, way, scenario.workers)

    def _load(self, scenario: Scenario, url: str) -> tuple[Figures, int]:
        """Load a server; returns the figures, and how many requests it answered."""
        file, capacity = self.files[scenario.batch], CAPACITY[scenario.batch]
        warm_up, full = capacity * WARM_UP_S, capacity * self.seconds
        connections = CONNECTIONS[scenario.batch]
        with self._serving(scenario, url) as process:
            warm = saturate(
                process.address,
                file.part(0, warm_up),
                seconds=WARM_UP_S,
                connections=connections,
            )
            before = self._look_after_checkpoint(process)
            answers = saturate(
                process.address,
                file.part(warm_up, full),
                seconds=self.seconds,
                connections=connections,
            )
            figures = self._look(process).since(before, answers)
            figures["requests_per_s"] = answers.rate
            figures["events_per_s"] = answers.rate * scenario.batch
            answered = warm.ok + answers.ok
            if scenario.half:
                rate = answers.rate * HALF
                before = self._look_after_checkpoint(process)
                latency = send_on_time(
                    process.address,
                    file.part(warm_up + full, round(rate * self.seconds)),
                    rate=rate,
                    connections=connections,
                )
                seen = self._look(process).since(before, latency)
                figures["half"] = latency._asdict() | seen
                answered += latency.ok
        return figures, answered

    def _store_directly(self, url: str, way: Way, connections: int) -> Figures:
        events = _DIRECT_PER_S * self.seconds
        self.server.checkpoint()
        rate = direct.store(
            url, first=0, events=events, connections=connections, way=way
        )
        [[rows]] = run(url, f"SELECT count(*) FROM {TABLES[way]}")
        wanted = events + direct.BATCH * connections
        if rows != wanted:
            raise BenchmarkError(f"{wanted} rows were written, {rows} are there.")
        return {"events_per_s": rate}

    def _look_after_checkpoint(self, process: Process) -> "_Moment":
        self.server.checkpoint()
        return self._look(process)

    def _look(self, process: Process) -> "_Moment":
        return _Moment(busy_seconds(), process.cpu_seconds(), self.server.checkpoints())

    @contextmanager
    def _serving(self, scenario: Scenario, url: str) -> Iterator[Process]:
        settings: dict[str, str] = {}
        command: tuple[str | int, ...]
        if scenario.kind == "rollcall":
            settings = {"database_url": url}
            command = (*ROLLCALL, "--port", 0, "--workers", scenario.workers)
        else:
            command = (
                *(sys.executable, "-m", "bench", "stand"),
                *(scenario.kind, url, self.server.key, scenario.workers),
            )
        with started(
            *command,
            env=rollcall_environment(**settings),
            log=self.server.directory / "server.log",
        ) as process:
            wait_ready(process.address)
            yield process


class _Moment(NamedTuple):
    """What has been used so far."""

    busy_seconds: float
    cpu_seconds: float
    checkpoints: int

    def since(self, before: Self, answers: Answers | Latency) -> Figures:
        """What a run took."""
        cpu_seconds = self.cpu_seconds - before.cpu_seconds
        return {
            "cores_busy": (self.busy_seconds - before.busy_seconds) / answers.seconds,
            "cpu_us_per_request": cpu_seconds * 1e6 / answers.ok,
            "checkpoints": self.checkpoints - before.checkpoints,
        }


def _check_rows(url: str, scenario: Scenario, *, answered: int) -> None:
    """Hold the rows that are there against the answers that said so."""
    if scenario.kind == "echo":
        return
    if scenario.kind == "baseline":
        [[rows]] = run(url, "SELECT count(*) FROM baseline_events")
    else:
        [[rows, ids, rejected]] = run(
            url,
            "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM event_ids),"
            " (SELECT count(*) FROM rejected_events)",
        )
        if rows != ids or rejected:
            raise BenchmarkError(
                f"{scenario.name}: {rows} events have {ids} ids; {rejected} rejected."
            )
    least = answered * scenario.batch
    # What was under way when wrk hung up, twice, may be in or not.
    most = least + 2 * CONNECTIONS[scenario.batch] * scenario.batch
    if not least <= rows <= most:
        raise BenchmarkError(
            f"{scenario.name}: answers tell of {least} events, {rows} are stored."
        )
