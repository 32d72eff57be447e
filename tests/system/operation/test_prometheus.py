"""A real Prometheus scrapes the service, and runs all documented queries."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from tests.conftest import ROOT
from tests.support.docs.markdown import read
from tests.support.http.wire import connected, event, request
from tests.support.ports import free_port
from tests.support.postgres.database import Database
from tests.support.service.process import Service, until

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None,
    reason="needs Prometheus: apt install prometheus",
)

PANELS = json.loads(read("docs/grafana.json"))["panels"]
QUERIES = [
    target["expr"].replace("$job", "rollcall").replace("$__rate_interval", "1m")
    for panel in PANELS
    for target in panel["targets"]
]
# Nothing has failed, nobody has crashed, nothing was rejected.
EMPTY = ("histogram", "rejected", "quarantine", "commit_failures")


class Prometheus:
    """A running Prometheus.

    Args:
        port: of its API.
    """

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}/api/v1/query?"

    def query(self, expr: str) -> list[dict[str, Any]]:
        with urlopen(self._address + urlencode({"query": expr})) as response:  # noqa: S310 - our own address
            answer = json.load(response)
        assert answer["status"] == "success", answer
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def has_scraped(self) -> bool:
        with suppress(URLError):
            return any(
                row["value"][1] == "1" for row in self.query('up{job="rollcall"}')
            )
        return False


@pytest.fixture(scope="module")
def prometheus(
    service: Service, own_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    key = own_database.key()
    with connected(service) as wire:
        wire.send(request(key, event()))
        assert wire.answer()[0] == 200
    directory: Path = tmp_path_factory.mktemp("prometheus")
    (directory / "read-key").write_text(own_database.key("prometheus", scope="read"))
    host, port = service.endpoint
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ROOT / "docs/alerts.yaml")],
        "scrape_configs": [
            {
                "job_name": "rollcall",
                "authorization": {"credentials_file": str(directory / "read-key")},
                "static_configs": [{"targets": [f"{host}:{port}"]}],
            }
        ],
    }
    (directory / "prometheus.yaml").write_text(yaml.safe_dump(config))
    api = free_port()
    with subprocess.Popen(
        [  # noqa: S607 - apt's
            "prometheus",
            f"--config.file={directory / 'prometheus.yaml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{api}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        running = Prometheus(api)
        try:
            until(running.has_scraped, within_s=60, what="a scrape")
            yield running
        finally:
            process.terminate()


@pytest.mark.parametrize("expr", QUERIES)
def test_query_of_the_dashboard_runs(prometheus: Prometheus, expr: str) -> None:
    rows = prometheus.query(expr)
    if not any(name in expr for name in EMPTY) and "[" not in expr:
        assert rows


def test_no_alert_fires_on_a_healthy_service(prometheus: Prometheus) -> None:
    names = {row["metric"]["alertname"] for row in prometheus.query("ALERTS")}
    # Both wait for an hour without events, or for two weeks ahead.
    assert names <= {"RollcallNoEvents"}
