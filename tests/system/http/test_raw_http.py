"""Raw HTTP, direct and through proxies: exactly one response to each request."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

import pytest

from tests.support.http.raw_http import CASES, Case, Conversation, converse, statuses_of
from tests.support.http.wire import connected, event, request
from tests.support.ports import free_port
from tests.support.postgres.database import Database
from tests.support.service.process import Service, until

Conversations = dict[str, Conversation]

_NGINX = """
daemon off;
master_process off;
pid {directory}/pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory};
    proxy_temp_path {directory};
    fastcgi_temp_path {directory};
    uwsgi_temp_path {directory};
    scgi_temp_path {directory};
    upstream rollcall {{ server {backend}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://rollcall;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""
_HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend clients
    bind 127.0.0.1:{port}
    default_backend rollcall
backend rollcall
    http-reuse always
    server rollcall {backend}
"""


@contextmanager
def proxied(
    program: str, configuration: str, service: Service, directory: Path
) -> Iterator[tuple[str, int]]:
    path = shutil.which(program, path="/usr/sbin:/usr/bin:/usr/local/bin")
    if path is None:
        pytest.skip(f"{program} is not installed")
    port = free_port()
    file = directory / f"{program}.conf"
    backend = "{}:{}".format(*service.endpoint)
    file.write_text(
        configuration.format(directory=directory, backend=backend, port=port)
    )
    option = "-c" if program == "nginx" else "-f"
    command = [path, option, str(file)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: _accepts(port), within_s=60, what=f"{program} listens")
            yield "127.0.0.1", port
        finally:
            process.terminate()
            process.wait(60)


def _accepts(port: int) -> bool:
    with socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def direct(shared_service: Service, shared_database: Database) -> Conversations:
    key = shared_database.key("raw-http")
    return converse(shared_service.endpoint, key)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_request_gets_exactly_one_response(case: Case, direct: Conversations) -> None:
    conversation = direct[case.name]
    [status] = statuses_of(conversation.received)

    assert status in case.statuses
    if case.closes:
        assert conversation.is_closed


@pytest.mark.parametrize(
    ("program", "configuration"), [("nginx", _NGINX), ("haproxy", _HAPROXY)]
)
def test_proxy_stays_in_step(
    program: str,
    configuration: str,
    shared_service: Service,
    shared_database: Database,
    tmp_path: Path,
) -> None:
    key = shared_database.key("raw-http")
    with proxied(program, configuration, shared_service, tmp_path) as endpoint:
        conversations = converse(endpoint, key)
        again = converse(endpoint, key)

    for case in CASES:
        for each in (conversations[case.name], again[case.name]):
            statuses = _statuses(each.received)
            assert len(statuses) <= 1, case.name
            wrong = {500, 501, 502, 503, 504} & {*statuses}
            assert not wrong or wrong <= {501, 502}, case.name
            if not case.closes and statuses:
                assert statuses[0] in case.statuses | {400, 404, 405, 426}, case.name


def _statuses(received: bytes) -> list[int]:
    """Of a proxy, which may answer as HTTP/0.9 does: with a body alone."""
    return statuses_of(received) if received.startswith(b"HTTP/") else []


def test_client_that_half_closes_gets_its_response(
    shared_service: Service, shared_database: Database
) -> None:
    key = shared_database.key("raw-http")
    for sent, status in (
        (request(key, event("half-closed")), 200),
        (b"GET /livez HTTP/1.1\r\nHost: r\r\n\r\n", 200),
    ):
        for _ in range(5):
            with connected(shared_service) as wire:
                wire.send(sent)
                wire.end()
                assert wire.answer()[0] == status
                assert wire.is_closed()
