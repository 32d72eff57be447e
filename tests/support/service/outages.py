"""A Postgres that freezes, and senders that time each answer."""

import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from app.embedded import Cluster
from tests.support.http.wire import event
from tests.support.limits import PATIENCE_S

_SENDERS = 4


@contextmanager
def frozen(cluster: Cluster) -> Iterator[None]:
    """All processes of a Postgres stand still, as those of a machine that hangs."""
    postmaster = cluster.listening_pid()
    assert postmaster
    os.kill(postmaster, signal.SIGSTOP)  # first: it must not replace the others
    pids = [postmaster, *_children(postmaster)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


def _children(pid: int) -> list[int]:
    return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


@dataclass(frozen=True, slots=True)
class Told:
    """One answer.

    Attributes:
        at: when it came, on the monotonic clock.
        seconds: how long it took.
        status: of HTTP.
        result: of the one event that was sent.
    """

    message_id: str
    at: float
    seconds: float
    status: int
    result: str | None


@dataclass(slots=True)
class Senders:
    """Send one event after the other, and record each response."""

    address: str
    key: str
    told: list[Told] = field(default_factory=list)
    _left: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        name = secrets.token_hex(4)
        headers = {
            "authorization": f"Bearer {self.key}",
            "content-type": "application/json",
        }
        with httpx.Client(
            base_url=self.address, headers=headers, timeout=PATIENCE_S
        ) as client:
            number = 0
            while not self._left.wait(0.01):
                number += 1
                message_id = f"{name}-{number}"
                began = time.monotonic()
                response = client.post("/track", content=event(message_id))
                at = time.monotonic()
                answer: dict[str, Any] = response.json()
                results = answer.get("results") or [{}]
                self.told.append(
                    Told(
                        message_id,
                        at,
                        at - began,
                        response.status_code,
                        results[0].get("status"),
                    )
                )

    def leave(self) -> None:
        self._left.set()


@contextmanager
def sending(address: str, key: str) -> Iterator[Senders]:
    """Some senders, for as long as this lasts."""
    senders = Senders(address, key)
    threads = [threading.Thread(target=senders.run) for _ in range(_SENDERS)]
    for thread in threads:
        thread.start()
    try:
        yield senders
    finally:
        senders.leave()
        for thread in threads:
            thread.join()
