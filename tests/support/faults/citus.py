"""The servers of the Citus cluster as processes of this machine, to be killed."""

import os
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

from tests.support.postgres.citus import citus_url, execute, fetch, nodes_of

_MOVE = (
    "SELECT citus_move_shard_placement({shard}, '127.0.0.1', {source}, '127.0.0.1',"
    " {target}, shard_transfer_mode => 'force_logical')"
)
_SHARD = """
SELECT shardid, nodeport FROM citus_shards
WHERE CAST(table_name AS text) = 'event_ids' ORDER BY shardid LIMIT 1
"""


class CitusServer(NamedTuple):
    """One server.

    Attributes:
        port: of it.
        data_dir: of it.
        programs: directory of Postgres's programs.
    """

    port: int
    data_dir: Path
    programs: Path

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop every process of it."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def start(self) -> None:
        """Start it after it was killed; returns once it answers."""
        owner = self.data_dir.stat()
        subprocess.run(
            [
                *(self.programs / "pg_ctl", "start", "-w"),
                *("-D", self.data_dir, "-l", self.data_dir / "log"),
            ],
            check=True,
            cwd="/",
            env={"HOME": "/nonexistent"},
            user=owner.st_uid,
            group=owner.st_gid,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def _signal(self, number: signal.Signals) -> None:
        # The postmaster first, so that it starts no others meanwhile.
        postmaster = postmaster_of(self.data_dir)
        os.kill(postmaster, number)
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children")
        try:
            pids = [int(pid) for pid in children.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            return
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def postmaster_of(data_dir: Path) -> int:
    """The first process of a server."""
    return int((data_dir / "postmaster.pid").read_text().split()[0])


async def servers() -> list[CitusServer]:
    """The coordinator, then the workers; the test is skipped where there are none."""
    found = []
    for node in await nodes_of(citus_url()):
        [[place]] = await fetch(node.url, "SHOW data_directory")
        found.append(server_of(node.port, Path(place)))
    return found


def server_of(port: int, data_dir: Path) -> CitusServer:
    """The server whose files these are."""
    program = Path(f"/proc/{postmaster_of(data_dir)}/exe").readlink()
    return CitusServer(port, data_dir, program.parent)


async def move_shard(url: str, workers: list[CitusServer]) -> None:
    """Move the first shard to the other worker, as docs/scaling.md says."""
    [[shard, source]] = await fetch(url, _SHARD)
    [target] = [worker.port for worker in workers if worker.port != source]
    await execute(
        url,
        _MOVE.format(shard=shard, source=source, target=target),
    )
