"""The operating system user that runs the server: Postgres refuses root."""

import os
import pwd
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from app.errors import EmbeddedPostgresError


@dataclass(frozen=True, slots=True)
class ServiceUser:
    """A user to run programs as; without ids, the user of this process."""

    uid: int | None = None
    gid: int | None = None

    def run(
        self,
        *command: str | Path,
        output: int = subprocess.PIPE,
        pass_fds: tuple[int, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, in its own session (Ctrl-C does not reach it).

        Its environment is PATH, the C locale and `environment`: a stray PGDATA or
        PGHOST would mislead it. `output` is a descriptor for both output streams; by
        default they are returned.
        """
        return subprocess.run(  # noqa: S603 - our own arguments, and no shell
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

    def make_private(self, directory: Path) -> None:
        """Give this user the directory, created if missing, with mode 0700."""
        directory.mkdir(mode=0o700, exist_ok=True)
        if self.uid is not None and self.gid is not None:
            os.chown(directory, self.uid, self.gid, follow_symlinks=False)
        directory.chmod(0o700)

    def can_reach(self, directory: Path) -> bool:
        """Whether this user may enter the directory and all its parents."""
        return self.uid is None or self.run("test", "-x", directory).returncode == 0

    @contextmanager
    def path_to(self, directory: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield a path that works for this user, and the descriptors to inherit.

        Below a directory that only root may enter, that is the path of a descriptor
        opened by root: Linux does not check its parents (proc(5)).
        """
        if self.can_reach(directory):
            yield str(directory), ()
            return
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{descriptor}", (descriptor,)
        finally:
            os.close(descriptor)


def user_for(data_dir: Path) -> ServiceUser:
    """Return the owner of the data directory; for root and a new one, another user.

    Raises:
        EmbeddedPostgresError: the server cannot run as the owner.
    """
    owner = data_dir.stat() if data_dir.exists() else None
    if os.geteuid() == 0:
        if owner is None or not any(data_dir.iterdir()):
            return unprivileged_user()
        if owner.st_uid != 0:
            return ServiceUser(owner.st_uid, owner.st_gid)
        raise EmbeddedPostgresError(
            f"{data_dir} belongs to root, and Postgres refuses to run as root: "
            f"give it to another user with `chown -R postgres {data_dir}`."
        )
    if owner is None or owner.st_uid == os.geteuid():
        return ServiceUser()
    raise EmbeddedPostgresError(
        f"{data_dir} belongs to user {owner.st_uid}: run Rollcall as that user, or "
        "set ROLLCALL_DATA_DIR to another directory."
    )


def unprivileged_user(names: Iterable[str] = ("postgres", "nobody")) -> ServiceUser:
    """Return the first of these users that exists, or raise."""
    for name in names:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return ServiceUser(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        "Postgres refuses to run as root, and this system has no user "
        f"{' or '.join(names)}: run Rollcall as an ordinary user."
    )


def warning_about(user: ServiceUser, data_dir: Path) -> str | None:
    """Return a warning if the server shares its user with unrelated programs."""
    with suppress(KeyError):
        if user.uid == pwd.getpwnam("nobody").pw_uid:
            return (
                "Warning: Postgres runs as the user nobody, because it refuses root "
                "and has no user of its own. Other programs that run as nobody can "
                "read its data. Stop Rollcall, create a user with `useradd --system "
                "--user-group postgres`, and give it the data with `chown -R "
                f"postgres: {data_dir}`."
            )
    return None
