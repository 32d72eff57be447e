"""Make a cluster, and see that an old one fits the programs."""

import shutil
from pathlib import Path

from app.errors import EmbeddedPostgresError
from app.store.directories import sync_directory
from app.store.embedded.binaries import major_of
from app.store.embedded.site import SUPERUSER, Site

INITDB = (
    "--no-locale",
    "--encoding=UTF8",
    "--data-checksums",
    "--auth-local=trust",
    "--auth-host=reject",
    f"--username={SUPERUSER}",
    "--no-instructions",
)


def ensure_cluster(site: Site, bin_dir: Path) -> None:
    """Run initdb if there is no cluster; it appears whole or not at all.

    Args:
        site: whose data directory it is.
        bin_dir: the programs, as the server's user reaches them.

    Raises:
        EmbeddedPostgresError: initdb fails, the directory holds something else,
            or a cluster of another major version.
    """
    version = site.data_dir / "PG_VERSION"
    if version.is_file():
        _check_version(site, version.read_text().strip())
        return
    if site.data_dir.is_dir() and any(site.data_dir.iterdir()):
        raise EmbeddedPostgresError(
            f"{site.data_dir} holds files but no Postgres cluster: move them away, "
            "or set ROLLCALL_DATA_DIR to another directory."
        )
    site.announce(f"Creating a Postgres database in {site.data_dir}.")
    unfinished = site.state_dir / "postgres.new"
    if unfinished.exists():  # a crash interrupted initdb
        shutil.rmtree(unfinished)
    site.account.own(unfinished)
    with site.account.path_to(unfinished) as (path, descriptors):
        done = site.account.run(
            bin_dir / "initdb", *INITDB, "--pgdata", path, pass_fds=descriptors
        )
    if done.returncode != 0:
        shutil.rmtree(unfinished)
        raise EmbeddedPostgresError(
            f"Postgres could not create its database in {site.data_dir}. "
            f"initdb says:\n{done.stderr.strip()}"
        )
    unfinished.rename(site.data_dir)
    for directory in (site.state_dir, site.state_dir.parent):
        sync_directory(directory)


def _check_version(site: Site, major: str) -> None:
    ours = str(major_of(site.bin_dir))
    if major != ours:
        raise EmbeddedPostgresError(
            f"{site.data_dir} was made by Postgres {major}, and the Postgres in "
            f"{site.bin_dir} is {ours}: install Postgres {major} and set "
            "ROLLCALL_POSTGRES_BIN to its bin directory, and from there move the data "
            "with pg_dump; or set ROLLCALL_DATA_DIR to a new directory."
        )
