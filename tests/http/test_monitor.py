"""The sweep of connections, and which of them give way to new ones."""

import asyncio
import logging
import resource
import time
from collections.abc import Iterator
from typing import Any

import pytest
from typing_extensions import override

from app.http.descriptors import max_connections, raise_descriptor_limit
from app.http.monitor import ConnectionMonitor
from app.http.timeouts import ConnectionLimits, StalledReaderCheck
from app.metrics.counters import Metrics
from app.settings import Settings
from tests.support.metrics.samples import figures_of

LIMITS = ConnectionLimits(header_s=0.01, body_s=0.01, write_s=0.01)


class Fake:
    """A connection that notes whether it was checked and closed."""

    def __init__(self, monitor: ConnectionMonitor, **state: Any) -> None:
        self.has_known_key = False
        self.is_idle = True
        self.is_unproven = False
        self.idle_since = 0.0
        self.is_closed = False
        self.checked = asyncio.Event()
        self.__dict__ |= state
        self._monitor = monitor
        monitor.add(self)

    def check(self, now: float) -> None:
        assert now > 0
        self.checked.set()

    def evict(self) -> None:
        self.is_closed = True
        self._monitor.remove(self)


def monitor_of(most: int, metrics: Metrics | None = None) -> ConnectionMonitor:
    return ConnectionMonitor(LIMITS, metrics or Metrics(), max_connections=most)


def test_connection_idle_longest_gives_way_first() -> None:
    monitor = monitor_of(2)
    second, first = (Fake(monitor, idle_since=at) for at in (2.0, 1.0))
    Fake(monitor)

    assert (first.is_closed, second.is_closed) == (True, False)


def test_connection_without_a_known_key_gives_way_before_one_with_it() -> None:
    monitor = monitor_of(2)
    known = Fake(monitor, idle_since=1.0, has_known_key=True)
    unknown = Fake(monitor, idle_since=2.0)
    Fake(monitor)

    assert (known.is_closed, unknown.is_closed) == (False, True)


def test_busy_connections_stay_and_the_newest_gives_way() -> None:
    monitor = monitor_of(2)
    busy = [Fake(monitor, is_idle=False) for _ in range(2)]
    newest = Fake(monitor)

    assert [each.is_closed for each in busy] == [False, False]
    assert newest.is_closed


def test_connection_with_unfinished_headers_gives_way_before_a_known_one() -> None:
    monitor = monitor_of(2)
    known = Fake(monitor, has_known_key=True)
    sending = Fake(monitor, is_idle=False, is_unproven=True, idle_since=9.0)
    newest = Fake(monitor)

    assert [each.is_closed for each in (known, sending, newest)] == [False, True, False]


def test_one_search_makes_room_for_several_that_arrive_together() -> None:
    class Ending(Fake):
        """As with asyncio, which reports the end of a connection a turn later."""

        @override
        def evict(self) -> None:
            assert not self.is_closed
            self.is_closed = True

    monitor = monitor_of(100)
    old = [Ending(monitor, idle_since=number) for number in range(100)]
    for number in range(3):
        Ending(monitor, idle_since=100 + number)

    assert [each.is_closed for each in old] == [True] * 3 + [False] * 97


def test_gauges_show_connections_and_their_limit() -> None:
    metrics = Metrics()
    monitor = monitor_of(7, metrics)
    Fake(monitor)
    metrics.publish()
    figures = figures_of(metrics)

    assert figures("rollcall_connections_open") == 1
    assert figures("rollcall_connections_limit") == 7


async def test_sweep_checks_all_and_logs_closed_connections(
    caplog: pytest.LogCaptureFixture,
) -> None:
    monitor = monitor_of(2)
    kept = [Fake(monitor) for _ in range(5)][-1]
    with caplog.at_level(logging.WARNING):
        sweeping = asyncio.create_task(monitor.run())
        await kept.checked.wait()
        await asyncio.sleep(0)
        sweeping.cancel()
    [record] = [r for r in caplog.records if "connection limit" in r.message]

    assert record.__dict__["rollcall_fields"] == {"closed": 3, "limit": 2}


async def test_sweep_survives_a_check_that_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Fake):
        @override
        def check(self, now: float) -> None:
            raise RuntimeError(now)

    monitor = monitor_of(2)
    Broken(monitor)
    other = Fake(monitor)
    sweeping = asyncio.create_task(monitor.run())
    await other.checked.wait()
    sweeping.cancel()

    assert "connection check failed" in caplog.text


async def test_sweep_of_slow_checks_lets_the_event_loop_turn() -> None:
    order: list[str] = []

    class Slow(Fake):
        @override
        def check(self, now: float) -> None:
            end = time.perf_counter() + 0.004
            while time.perf_counter() < end:
                pass
            order.append("check")
            asyncio.get_running_loop().call_soon(order.append, "turn")
            self.checked.set()

    monitor = monitor_of(3)
    connections = [Slow(monitor) for _ in range(3)]
    sweeping = asyncio.create_task(monitor.run())
    for connection in connections:
        await connection.checked.wait()
    sweeping.cancel()

    assert order[:3] == ["check", "turn", "check"]


def test_requests_of_thousands_without_a_known_key_are_spaced_to_their_rate() -> None:
    monitor = monitor_of(2)
    pauses = [monitor.unauthenticated_pause_s() for _ in range(1_300)]

    assert 1.0 < pauses[-1] <= 1.3


def test_request_of_a_client_without_a_known_key_is_read_in_time_for_its_deadline() -> (
    None
):
    monitor = monitor_of(2)
    longest = max(monitor.unauthenticated_pause_s() for _ in range(9_000))

    # A proxy may send a good request on the connection, whose commit has a second.
    assert longest + 1 < Settings.model_fields["answer_timeout_seconds"].default


@pytest.mark.parametrize(
    ("unsent", "stuck"),
    [
        ([0, 0, 0], False),
        ([100, 0, 100], False),
        ([100, 100, 100], True),
        ([200_000, 200_000, 100_000], False),
        ([200_000, 200_000, 199_000], True),
    ],
)
def test_client_that_reads_too_little_is_stalled(
    unsent: list[int], *, stuck: bool
) -> None:
    check = StalledReaderCheck(10.0)
    found = [check.is_stuck(size, 6.0 * at) for at, size in enumerate(unsent)]

    assert found == [False, False, stuck]


@pytest.fixture
def descriptors() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_connections_have_a_limit_where_descriptors_have_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda _: unlimited)

    assert max_connections() == 65_536


@pytest.mark.usefixtures("descriptors")
def test_soft_limit_of_descriptors_is_raised_to_the_hard_one() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    assert max_connections() == 512 - 128
    raise_descriptor_limit()

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == (hard if 0 < hard < 2**20 else 2**20)
