"""`rollcall check`: find what would go wrong, before it does."""

import platform
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import typer

from app.cli.configuration import read_settings
from app.cli.database import Database, describe_database, open_database
from app.errors import OperatorError
from app.serving.interpreter import fixed_release
from app.settings import MIB, Settings
from app.store.dsn import has_pooler
from app.store.journal.fallback import journal_directory
from app.store.journal.inspection import find_journals
from app.store.operator.checkup import Finding, check_database

_DESCRIPTORS = 4_096


def check() -> None:
    """Check database, machine and settings; exit status 1 if anything is wrong."""
    settings = read_settings()
    findings = [*_machine(settings)]
    try:
        with open_database(settings) as database:
            findings.append(Finding("database", describe_database(settings, database)))
            findings += _database(settings, database)
    except OperatorError as error:
        findings.append(Finding("database", "not usable", error.detail))
    for finding in findings:
        mark = "ok  " if finding.remedy is None else "FAIL"
        typer.echo(f"{mark} {finding.name}: {finding.value}")
        if finding.remedy is not None:
            typer.echo(f"     {finding.remedy}")
    if any(finding.remedy for finding in findings):
        raise typer.Exit(1)


def _database(settings: Settings, database: Database) -> list[Finding]:
    return database.run(
        check_database,
        is_pooled=has_pooler(database.url),
        max_events=settings.quarantine_max_events,
        max_bytes=settings.quarantine_max_bytes,
    )


def _machine(settings: Settings) -> Iterator[Finding]:
    fixed = fixed_release()
    yield Finding(
        "Python",
        platform.python_version(),
        fixed and f"Upgrade to {fixed} or later, which fixes CVE-2024-7592.",
    )
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    is_unlimited = hard == resource.RLIM_INFINITY
    yield Finding(
        "descriptors",
        "unlimited" if is_unlimited else str(hard),
        None
        if is_unlimited or hard >= _DESCRIPTORS
        else f"Raise the hard limit (LimitNOFILE in systemd) to {_DESCRIPTORS}.",
    )
    yield from _data_directory(settings)


def _data_directory(settings: Settings) -> Iterator[Finding]:
    directory = settings.data_dir.absolute()
    if not directory.is_dir():
        yield Finding("data directory", f"{directory} does not exist yet")
        return
    yield _disk(directory, settings)
    journals = find_journals(journal_directory(directory))
    states = [journal.state for journal in journals]
    yield Finding(
        "journals",
        f"{len(journals)}, of which {states.count('damaged')} are damaged",
        "Keep the damaged files, and see docs/operations.md, section The journal."
        if "damaged" in states
        else None,
    )


def _disk(directory: Path, settings: Settings) -> Finding:
    free = shutil.disk_usage(directory).free
    needed = settings.journal_max_bytes * settings.workers
    is_short = settings.journal != "off" and free < needed
    return Finding(
        "disk of the data directory",
        f"{free // MIB} MiB free in {directory}",
        f"The journals may take {needed // MIB} MiB: free space, or lower "
        "ROLLCALL_JOURNAL_MAX_BYTES."
        if is_short
        else None,
    )
