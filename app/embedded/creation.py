"""Creation and server settings of the cluster."""

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from app.embedded.binaries import major_version
from app.embedded.cluster import SUPERUSER, Cluster
from app.errors import EmbeddedPostgresError
from app.files import sync_directory

INITDB = (
    "--no-locale",
    "--encoding=UTF8",
    "--data-checksums",
    "--auth-local=trust",
    "--auth-host=reject",
    f"--username={SUPERUSER}",
    "--no-instructions",
)
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # With Postgres's 1 GB of WAL, checkpoints follow each other under a write load.
    # wal_compression stays off: full pages hold random ids, of which pglz saves 5 %
    # and takes longer than the insert itself.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Where a distribution turns it on, messages of a failed start are not in our log.
    "logging_collector": "off",
    # Payloads are personal data, so no statement, row or value is logged. Here `log`
    # ranks above `error`; messages at `error` quote values.
    "log_line_prefix": "%m [%p] ",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
}
CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def ensure_cluster(cluster: Cluster, bin_dir: Path) -> None:
    """Run initdb if there is no cluster; it appears whole or not at all.

    `bin_dir` holds the programs, as the server's user reaches them.
    """
    version = cluster.data_dir / "PG_VERSION"
    if version.is_file():
        major, ours = version.read_text().strip(), major_version(cluster.bin_dir)
        if major == str(ours):
            return
        raise EmbeddedPostgresError(
            f"{cluster.data_dir} was made by Postgres {major}, and the Postgres in "
            f"{cluster.bin_dir} is {ours}: install Postgres {major} and set "
            "ROLLCALL_POSTGRES_BIN to its bin directory, and from there move the data "
            "with pg_dump; or set ROLLCALL_DATA_DIR to a new directory."
        )
    if cluster.data_dir.is_dir() and any(cluster.data_dir.iterdir()):
        raise EmbeddedPostgresError(
            f"{cluster.data_dir} holds files but no Postgres cluster: move them away, "
            "or set ROLLCALL_DATA_DIR to another directory."
        )
    cluster.announce(f"Creating a Postgres database in {cluster.data_dir}.")
    unfinished = cluster.state_dir / "postgres.new"
    if unfinished.exists():  # a crash interrupted initdb
        shutil.rmtree(unfinished)
    cluster.user.make_private(unfinished)
    with cluster.user.path_to(unfinished) as (path, descriptors):
        done = cluster.user.run(
            bin_dir / "initdb", *INITDB, "--pgdata", path, pass_fds=descriptors
        )
    if done.returncode != 0:  # it has removed what it made
        raise EmbeddedPostgresError(
            f"Postgres could not create its database in {cluster.data_dir}. "
            f"initdb says:\n{done.stderr.strip()}"
        )
    unfinished.rename(cluster.data_dir)
    for directory in (cluster.state_dir, cluster.state_dir.parent):
        sync_directory(directory)


def server_settings(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return Rollcall's settings for a server on this machine, with the overrides."""
    buffers = f"{shared_buffers_mb(memory_bytes())}MB"
    return {**SETTINGS, "shared_buffers": buffers, **overrides}


def shared_buffers_mb(memory: int) -> int:
    """Return an eighth of the memory (bytes) in MB, from 16 to 4096."""
    return max(16, min(memory // 8 >> 20, 4096))


def memory_bytes(limit_files: Iterable[Path] = CONTAINER_LIMITS) -> int:
    """Return the memory of this machine, or its container's limit if lower."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in limit_files:
        with suppress(OSError, ValueError):  # not in a container, or `max`
            sizes.append(int(file.read_text()))
    return min(sizes)
