"""Requests of 60 KB of the worst characters, before anybody knows who sends.

Each costs the worker little processor time, and none is answered with a 5xx. The
service is the module's own, because the shared one spends time on its coverage.
"""

import socket
from contextlib import suppress
from itertools import product
from pathlib import Path

import pytest

from tests.support.service.process import Service

LARGE = 60_000
MAX_S = 0.05
# Each header that any part of the service, or a library under it, reads before it knows
# the client; with the prefixes without which the rest is not parsed.
HEADERS = {
    "Accept": ("", "text/html;q="),
    "Accept-Encoding": ("", "gzip;q="),
    "Accept-Language": ("",),
    "Authorization": ("", "Basic ", "Bearer "),
    "Connection": ("", "Upgrade, "),
    "Content-Encoding": ("", "gzip,"),
    "Content-Length": ("",),
    "Content-Type": ("", "application/json; charset=", "multipart/form-data; b="),
    "Cookie": ("", 'rollcall_session="', "a=b; rollcall_session="),
    "Expect": ("",),
    "Forwarded": ("", "for="),
    "Host": ("", "a:"),
    "Idempotency-Key": ("",),
    "If-Modified-Since": ("",),
    "If-None-Match": ("", 'W/"'),
    "Key": ("",),
    "Last-Event-ID": ("",),
    "Origin": ("", "http://"),
    "Range": ("", "bytes="),
    "Sec-Fetch-Site": ("",),
    "Traceparent": ("", "00-"),
    "Transfer-Encoding": ("", "chunked,"),
    "Upgrade": ("",),
    "X-Api-Key": ("",),
    "X-Forwarded-For": ("",),
    "X-Forwarded-Proto": ("",),
    "X-Write-Key": ("",),
}
UNITS = ("\\", '"', " ", ",", ";", "=", "0", "a=b;", "a/b;q=0.1,", 'W/"a",', "1-2,")
PATHS = ("/", "%2f", "a/..", "%", "%25", "%ff", "rc_", "track//")
QUERIES = ("&", "=", "a=%25&", "limit=1&", "dry_run=true&", "%", "+", ";", "event=a&")
TARGETS = (
    "POST /track",
    "POST /v1/batch",
    "GET /",
    "GET /docs",
    "GET /openapi.json",
    "GET /v1/events",
    "GET /metrics",
    "GET /livez",
)


def hostile(target: str) -> dict[str, bytes]:
    """Requests for one target, by their hostile part."""
    found = {}
    for name, unit in product(HEADERS, UNITS):
        for prefix in HEADERS[name]:
            value = prefix + unit * (LARGE // len(unit))
            lines = [f"{target} HTTP/1.1", f"{name}: {value}"]
            if name != "Host":
                lines.append("Host: r")
            found[f"{name}: {prefix}{unit}"] = "\r\n".join([*lines, "", ""]).encode()
    for unit in PATHS:
        path = target + unit * (LARGE // len(unit))
        found[f"path {unit}"] = f"{path} HTTP/1.1\r\nHost: r\r\n\r\n".encode()
    for unit in QUERIES:
        query = f"{target}?{unit * (LARGE // len(unit))}"
        found[f"query {unit}"] = f"{query} HTTP/1.1\r\nHost: r\r\n\r\n".encode()
    return found


def cpu_s(pid: int) -> float:
    """Seconds that the event loop's thread has been running."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def ask(service: Service, request: bytes) -> bytes:
    """The first part of the response."""
    with socket.create_connection(service.endpoint, 60) as connection:
        connection.sendall(request)
        with suppress(OSError):  # it has responded and closed
            connection.shutdown(socket.SHUT_WR)
        return connection.recv(65536)


@pytest.mark.parametrize("target", TARGETS)
def test_hostile_head_costs_little_processor_time(
    service: Service, target: str
) -> None:
    [pid] = service.workers() or [service.process.pid]
    costs: dict[str, float] = {}
    failed = []
    for name, request in hostile(target).items():
        answer = b""
        for _ in range(8):  # the worker has other work: the least is the request's
            before = cpu_s(pid)
            answer = ask(service, request)
            costs[name] = min(costs.get(name, 1.0), cpu_s(pid) - before)
            if costs[name] < MAX_S / 2:
                break
        if answer[9:10] == b"5" and answer[9:12] != b"501":
            failed.append((name, answer[:200]))

    assert len(costs) > 300
    assert not failed
    assert max(costs.values()) < MAX_S, max(costs, key=lambda name: costs[name])
