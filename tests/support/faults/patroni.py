"""A Patroni cluster of three nodes with etcd, each node in a network namespace.

Needs root, `ip`, etcd and a packaged Postgres; `missing()` names the absent programs.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.service.process import until

NODES = (1, 2, 3)
# The smallest that Patroni accepts, so that a failover takes 20 s and not 30 s.
_TTL_S = 20
_LOOP_S = 5
_USER = "postgres"
_READY_S = 90


def missing() -> str | None:
    """The first thing that the cluster needs and this machine lacks."""
    if os.geteuid() != 0:
        return "root, for network namespaces"
    for program in ("ip", "etcd", "runuser"):
        if shutil.which(program) is None:
            return program
    if _postgres_bin() is None:
        return "a packaged Postgres below /usr/lib/postgresql"
    if _interpreter() is None:
        return "Patroni, in an interpreter that the user postgres can run"
    if _run("ip", "netns", "list", check=False).returncode:
        return "network namespaces"
    return None


@dataclass(frozen=True, slots=True)
class PatroniCluster:
    """Three nodes and etcd.

    Attributes:
        prefix: of the names of namespaces and links.
        network: first three bytes of the addresses.
        etcd: pid of etcd.
        directory: of the configurations, data and logs.
        processes: the shells around Patroni, to be waited for.
    """

    prefix: str
    network: str
    etcd: int
    directory: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def url(self, *nodes: int, database: str = "rollcall") -> str:
        """A URL with the hosts of the nodes in this order."""
        hosts = ",".join(f"{self.network}.{node}:5432" for node in nodes)
        return (
            f"postgresql://postgres@{hosts}/{database}?target_session_attrs=read-write"
        )

    def leader(self) -> int | None:
        """The node that accepts writes, if exactly one says so."""
        leaders = [node for node in NODES if self._answers(node, "primary")]
        return leaders[0] if len(leaders) == 1 else None

    def synchronous_standby(self) -> int | None:
        """A node that commits wait for."""
        return next((n for n in NODES if self._answers(n, "synchronous")), None)

    def until_leader(self) -> int:
        """Wait for a leader; returns its node."""
        return until(self.leader, within_s=_READY_S, what="a leader")

    def until_whole(self) -> int:
        """Wait for a leader, a synchronous standby and a third node; returns it."""
        leader = self.until_leader()
        self.until_synchronous()
        until(
            lambda: all(n == leader or self._answers(n, "replica") for n in NODES),
            within_s=_READY_S,
            what="each node is back",
        )
        return self.until_leader()

    def until_synchronous(self) -> None:
        """Wait until commits are replicated."""
        until(self.synchronous_standby, within_s=_READY_S, what="a synchronous standby")

    def start(self, node: int) -> None:
        """Start Patroni on a node, for the first time or after a kill."""
        config = self.directory / f"node{node}.json"
        config.write_text(json.dumps(_config(self.network, node, self.directory)))
        shutil.chown(config, _USER, _USER)
        interpreter = _interpreter()
        assert interpreter is not None
        with (self.directory / f"node{node}.log").open("ab") as log:
            patroni = subprocess.Popen(
                [
                    *("ip", "netns", "exec", f"{self.prefix}n{node}"),
                    *("runuser", "-u", _USER, "--"),
                    *("env", f"PYTHONPATH={sysconfig.get_path('purelib')}"),
                    # Without site: a distribution's own packages would be mixed in.
                    *(interpreter, "-S", "-m", "patroni", str(config)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
            )
        self.processes.append(patroni)

    def kill(self, node: int) -> None:
        """kill -9 of Patroni and Postgres of a node."""
        self._signal(node, signal.SIGKILL)

    def freeze(self, node: int) -> None:
        """SIGSTOP of all processes of a node."""
        self._signal(node, signal.SIGSTOP)

    def thaw(self, node: int) -> None:
        """SIGCONT of all processes of a node."""
        self._signal(node, signal.SIGCONT)

    def cut(self, node: int) -> None:
        """Take the link of a node down."""
        _run("ip", "link", "set", f"{self.prefix}v{node}", "down")

    def mend(self, node: int) -> None:
        """Bring the link of a node up."""
        _run("ip", "link", "set", f"{self.prefix}v{node}", "up")

    def switch_over(self) -> None:
        """A planned change of the leader."""
        leader = self.leader()
        self._rest(leader or 1, "switchover", {"leader": f"node{leader}"})

    def keep_leader_without_etcd(self) -> None:
        """Turn the failsafe mode on, and wait until all members know each other."""
        self._rest(self.leader() or 1, "config", {"failsafe_mode": True}, "PATCH")
        until(
            lambda: all(self._has_failsafe(node) for node in NODES),
            within_s=_READY_S,
            what="each node is in failsafe mode",
        )

    def _has_failsafe(self, node: int) -> bool:
        url = f"http://{self.network}.{node}:8008/failsafe"
        found = _run("curl", "-s", "-m", "1", url, check=False).stdout
        return all(f"node{each}" in found for each in NODES)

    def _answers(self, node: int, path: str) -> bool:
        found = _run(
            *("curl", "-s", "-o", "/dev/null", "-m", "1", "-w", "%{http_code}"),
            f"http://{self.network}.{node}:8008/{path}",
            check=False,
        )
        return found.stdout == "200"

    def _rest(
        self, node: int, path: str, body: dict[str, Any], method: str = "POST"
    ) -> None:
        _run(
            *("curl", "-s", "-m", "60", "-X", method, "-d", json.dumps(body)),
            f"http://{self.network}.{node}:8008/{path}",
        )

    def _signal(self, node: int, number: signal.Signals) -> None:
        found = _run("ip", "netns", "pids", f"{self.prefix}n{node}").stdout
        for pid in found.split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), number)


@contextmanager
def patroni_cluster() -> Iterator[PatroniCluster]:
    """Start a cluster on a network of its own; end it and remove everything."""
    prefix = f"rc{secrets.token_hex(2)}"
    network = f"10.77.{secrets.randbelow(200) + 1}"
    directory = Path(tempfile.mkdtemp(prefix="rollcall-patroni-", dir="/tmp"))
    shutil.chown(directory, _USER, _USER)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        _make_network(prefix, network)
        etcd = _start_etcd(directory, network)
        processes.append(etcd)
        cluster = PatroniCluster(prefix, network, etcd.pid, directory, processes)
        for node in NODES:
            cluster.start(node)
        cluster.until_leader()
        cluster.until_synchronous()
        yield cluster
    finally:
        for node in NODES:
            found = _run("ip", "netns", "pids", f"{prefix}n{node}", check=False)
            for pid in found.stdout.split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _run("ip", "netns", "del", f"{prefix}n{node}", check=False)
        for process in processes:
            process.kill()
            process.wait()
        _run("ip", "link", "del", f"{prefix}br", check=False)
        shutil.rmtree(directory, ignore_errors=True)


def _make_network(prefix: str, network: str) -> None:
    bridge = f"{prefix}br"
    _run("ip", "link", "add", bridge, "type", "bridge")
    _run("ip", "addr", "add", f"{network}.254/24", "dev", bridge)
    _run("ip", "link", "set", bridge, "up")
    for node in NODES:
        space, outer, inner = f"{prefix}n{node}", f"{prefix}v{node}", f"{prefix}i{node}"
        _run("ip", "netns", "add", space)
        _run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner)
        _run("ip", "link", "set", outer, "master", bridge)
        _run("ip", "link", "set", outer, "up")
        _run("ip", "link", "set", inner, "netns", space)
        inside = ("ip", "-n", space)
        _run(*inside, "addr", "add", f"{network}.{node}/24", "dev", inner)
        _run(*inside, "link", "set", inner, "up")
        _run(*inside, "link", "set", "lo", "up")


def _start_etcd(directory: Path, network: str) -> subprocess.Popen[bytes]:
    client = f"http://{network}.254:2379"
    log = (directory / "etcd.log").open("ab")
    etcd = subprocess.Popen(
        [
            *("etcd", "--data-dir", str(directory / "etcd")),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", f"http://{network}.254:2380"),
            *("--initial-advertise-peer-urls", f"http://{network}.254:2380"),
            *("--initial-cluster", f"default=http://{network}.254:2380"),
        ],
        stdout=log,
        stderr=log,
    )
    log.close()
    return etcd


def _config(network: str, node: int, home: Path) -> dict[str, Any]:
    address = f"{network}.{node}"
    anyone = f"host all all {network}.0/24 trust"
    return {
        "scope": "rollcall",
        "name": f"node{node}",
        "restapi": {"listen": f"{address}:8008", "connect_address": f"{address}:8008"},
        "etcd3": {"hosts": f"{network}.254:2379"},
        "bootstrap": {
            "dcs": {
                "ttl": _TTL_S,
                "loop_wait": _LOOP_S,
                "retry_timeout": _LOOP_S,
                "synchronous_mode": True,
                "postgresql": {
                    "use_pg_rewind": True,
                    "parameters": {"wal_keep_size": "256MB", "shared_buffers": "64MB"},
                },
            },
            "initdb": ["data-checksums", {"encoding": "UTF8"}],
        },
        "postgresql": {
            "listen": f"{address}:5432",
            "connect_address": f"{address}:5432",
            "data_dir": str(home / f"data{node}"),
            "bin_dir": str(_postgres_bin()),
            "pg_hba": [
                "local all all trust",
                anyone,
                f"host replication all {network}.0/24 trust",
            ],
            "authentication": {
                name: {"username": user}
                for name, user in (
                    ("superuser", _USER),
                    ("replication", _USER),
                    ("rewind", _USER),
                )
            },
            "parameters": {"unix_socket_directories": ""},
        },
    }


def _postgres_bin() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_rewind"))
    return found[-1].parent if found else None


def _interpreter() -> str | None:
    """An interpreter that can run this environment's Patroni as another user."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        probe = _run(
            *("runuser", "-u", _USER, "--"),
            *("env", f"PYTHONPATH={sysconfig.get_path('purelib')}", candidate),
            *("-S", "-c", "import patroni.dcs.etcd3, psycopg"),
            check=False,
        )
        if probe.returncode == 0:
            return candidate
    return None


def _run(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=check, cwd="/")
