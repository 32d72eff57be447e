"""The user whom the server runs as: Postgres refuses to run as root."""

import os
import pwd
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.errors import EmbeddedPostgresError

STEP_DOWN_TO = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user to run programs as; None for both ids means whoever runs this."""

    uid: int | None = None
    gid: int | None = None

    def run(
        self,
        *command: str | Path,
        output: int = subprocess.PIPE,
        pass_fds: tuple[int, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, in its own session (Ctrl-C stays away).

        It sees none of our environment: a stray PGDATA or PGHOST would mislead.

        Args:
            command: the program and its arguments.
            output: a descriptor for what it says on both streams; by default
                that is returned.
            pass_fds: descriptors that it inherits under the same numbers.
            environment: variables for it, beside PATH and the C locale.

        Raises:
            OSError: this user cannot run it.
        """
        return subprocess.run(  # noqa: S603 - our own words, and no shell reads them
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            text=True,
            errors="replace",
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", **(environment or {})},
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else (),
            umask=0o077,
            start_new_session=True,
            pass_fds=pass_fds,
        )

    def own(self, directory: Path) -> None:
        """Make a private directory of this user's, or make an old one private."""
        directory.mkdir(mode=0o700, exist_ok=True)
        if self.uid is not None and self.gid is not None:
            os.chown(directory, self.uid, self.gid, follow_symlinks=False)
        directory.chmod(0o700)

    def reaches(self, directory: Path) -> bool:
        """Whether every directory on the way lets this user through."""
        return self.uid is None or self.run("test", "-x", directory).returncode == 0

    @contextmanager
    def path_to(self, directory: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
        """A path under which this user's programs see the directory.

        Below a home that only root may enter, that is a descriptor which root
        opened: the kernel follows it without looking at the parents (proc(5)).

        Yields:
            The path, and the descriptors that the program must inherit.

        Raises:
            EmbeddedPostgresError: unreachable, on a system without /proc/self/fd.
        """
        if self.reaches(directory):
            yield str(directory), ()
            return
        if not sys.platform.startswith("linux"):
            raise EmbeddedPostgresError(
                f"User {self.uid}, whom Postgres runs as because it refuses root, "
                f"cannot enter {directory}: run Rollcall as an ordinary user, or "
                "set ROLLCALL_DATA_DIR to a directory that every user can reach."
            )
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{descriptor}", (descriptor,)
        finally:
            os.close(descriptor)


def account_for(data_dir: Path) -> Account:
    """The owner of the data directory; for root and a new one, a service user.

    Raises:
        EmbeddedPostgresError: the data directory belongs to root or to a user
            whom we cannot become, or there is no user to step down to.
    """
    owner = data_dir.stat() if data_dir.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise EmbeddedPostgresError(
                f"{data_dir} belongs to user {owner.st_uid}: run Rollcall as that "
                "user, or set ROLLCALL_DATA_DIR to another directory."
            )
        return Account()
    if owner is None or not any(data_dir.iterdir()):
        return service_user()
    if owner.st_uid == 0:
        raise EmbeddedPostgresError(
            f"{data_dir} belongs to root, and Postgres refuses to run as root: "
            f"give it to a user with chown -R postgres {data_dir}."
        )
    return Account(owner.st_uid, owner.st_gid)


def service_user(names: Iterable[str] = STEP_DOWN_TO) -> Account:
    """The first of these users that exists.

    Raises:
        EmbeddedPostgresError: none does.
    """
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        "Postgres refuses to run as root, and this system has no user "
        f"{' or '.join(names)}: run Rollcall as an ordinary user."
    )
