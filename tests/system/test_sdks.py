"""Real SDKs, with only the host changed: every delivered event is stored.

The Node ones are installed by make where npm is; without them their tests skip.
"""

import gzip
import json
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.service.process import until
from tests.support.service.tenant import Tenant

SENDERS = Path(__file__).with_name("senders")
MODULES = SENDERS / "node_modules"
COUNT = 60

pytestmark = pytest.mark.timeout(120)


def run(tenant: Tenant, command: list[str], sender: str, count: int) -> list[str]:
    """Send with a sender; return the users whose events it believes delivered."""
    done = subprocess.run(
        [*command, SENDERS / sender, tenant.service.address, tenant.key, str(count)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    delivered: list[str] = json.loads(done.stdout)["delivered"]
    return delivered


def check(tenant: Tenant, delivered: list[str], *, dated: bool = True) -> None:
    """Each of the plan's events is stored once, in its view, as it was sent.

    Args:
        tenant: the source of the events.
        delivered: the users that the SDK says it delivered for.
        dated: whether the SDK sends the time that its caller gives.
    """
    users = sorted(f"user-{i}" for i in range(COUNT))
    assert delivered == users
    signed_up = tenant.rows(
        "SELECT user_id, email, name, timestamp_iso FROM signed_up "
        'WHERE source = :source ORDER BY "timestamp"'
    )
    assert [tuple(row[: 4 if dated else 3]) for row in signed_up] == [
        (f"user-{i}", f"user-{i}@example.com", f"User {i}", iso(i))[: 4 if dated else 3]
        for i in range(0, COUNT, 2)
    ]
    added = tenant.rows(
        "SELECT user_id, group_id, user_role, timestamp_iso FROM account_added_user "
        'WHERE source = :source ORDER BY "timestamp"'
    )
    assert [tuple(row[: 4 if dated else 3]) for row in added] == [
        (f"user-{i}", f"account-{i}", "Viewer", iso(i))[: 4 if dated else 3]
        for i in range(1, COUNT, 2)
    ]
    assert not tenant.rows("SELECT reason FROM rejected_events WHERE source = :source")


def iso(millisecond: int) -> str:
    return f"2026-01-01T00:00:00.{millisecond:03}Z"


@pytest.mark.parametrize(
    "sender", ["segment_python.py", "rudder_python.py", "customerio_python.py"]
)
def test_events_of_python_sdk_are_stored(tenant: Tenant, sender: str) -> None:
    check(tenant, run(tenant, [sys.executable], sender, COUNT))


@pytest.mark.parametrize(
    "sender",
    [
        "segment-node.mjs",
        "rudder-node.mjs",
        "jitsu.mjs",
        "customerio-node.mjs",
        "analytics-node.mjs",
    ],
)
def test_events_of_node_sdk_are_stored(tenant: Tenant, sender: str) -> None:
    node = shutil.which("node")
    if node is None or not MODULES.is_dir():
        pytest.skip("Node or its SDKs are not here; make test installs them with npm")
    delivered = run(tenant, [node], sender, COUNT)
    check(tenant, delivered, dated=sender != "jitsu.mjs")


def track(index: int, **changes: object) -> dict[str, object]:
    return {
        "type": "track",
        "event": "signed_up",
        "userId": f"user-{index}",
        "anonymousId": None,
        "messageId": f"message-{index}",
        "timestamp": "2026-01-01T00:00:00Z",
        "properties": {"email": f"user-{index}@example.com"},
        "context": {"library": {"name": "analytics-python", "version": "2.4"}},
        "integrations": {},
    } | changes


def post(tenant: Tenant, body: bytes) -> dict[str, object]:
    """Post as RudderStack's SDK for Python does: gzip, the key as a user name."""
    response = tenant.client.post(
        "/v1/batch",
        content=gzip.compress(body),
        headers={"content-encoding": "gzip"},
    )
    assert response.status_code == 200, response.text
    answer: dict[str, object] = response.json()
    return answer


def test_one_bad_event_in_a_batch_of_100(tenant: Tenant) -> None:
    batch = [track(i) for i in range(100)]
    batch[42] = track(42, properties={"email": "none"})
    answer = post(tenant, json.dumps({"batch": batch, "sentAt": "now"}).encode())
    assert (answer["stored"], answer["rejected"]) == (99, 1)
    reasons = "SELECT reason FROM rejected_events WHERE source = :source"
    assert [tuple(row) for row in tenant.rows(reasons)] == [("invalid_email",)]


def test_batch_whose_answer_was_lost_is_sent_again(tenant: Tenant) -> None:
    body = json.dumps({"batch": [track(i) for i in range(20)]}).encode()
    head = (
        f"POST /v1/batch HTTP/1.1\r\nHost: x\r\nX-Api-Key: {tenant.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    where = urlsplit(tenant.service.address)
    with socket.create_connection((str(where.hostname), where.port or 0)) as lost:
        lost.sendall(head.encode() + body)
        stored = "SELECT id FROM events WHERE source = :source"
        until(lambda: len(tenant.rows(stored)) == 20, within_s=60, what="20 rows")
        # A reset, not a close: the response is lost.
        reset = struct.pack("ii", 1, 0)
        lost.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    answer = post(tenant, body)
    assert (answer["stored"], answer["duplicates"]) == (0, 20)
    assert len(tenant.rows(stored)) == 20


def test_unusual_values_of_sdks_are_accepted(tenant: Tenant) -> None:
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    hostile = [
        track(0),
        track(1, properties={"email": "a@b.c", "x": float("nan")}),
        track(2, properties={"email": "a@b.c", "x": float("-inf")}),
        track(3, properties={"email": "a@b.c", "x": "\0"}),
        track(4, properties={"email": "a@b.c", "x": "\ud800"}),
        track(5, properties={"email": "a@b.c", "x": 2**70}),
        track(6, event=""),
        track(7, properties={"email": "a@b.c", "x": deep}),
        track(8, timestamp="20-11-23T22:28:55.111Z"),
        track(9, timestamp="not a date"),
        track(10, userId="\0"),
        track(11),
    ]
    answer = post(tenant, json.dumps({"batch": hostile}).encode())
    results = answer["results"]
    assert isinstance(results, list)
    assert [result["status"] for result in results] == [
        "stored", "stored", "stored", "stored", "stored", "stored", "rejected",
        "rejected", "stored", "rejected", "rejected", "stored",
    ]  # fmt: skip
    rows = tenant.rows(
        "SELECT user_id, properties -> 'x' AS x FROM events WHERE source = :source"
    )
    stored = {row.user_id: row.x for row in rows}
    assert stored["user-1"] is None
    assert stored["user-3"] == stored["user-4"] == "\ufffd"
    assert stored["user-5"] == 2**70
    reasons = tenant.rows("SELECT reason FROM rejected_events WHERE source = :source")
    assert sorted(row.reason for row in reasons) == [
        "invalid_character", "invalid_timestamp", "too_deep", "unknown_event",
    ]  # fmt: skip
