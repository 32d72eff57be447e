"""Readiness of the server: psql can run SQL on a new connection."""

from subprocess import CompletedProcess

from app.embedded.paths import DATABASE, PORT, SUPERUSER, ClusterPaths
from app.embedded.service_user import ServiceUser

CONNECT_SECONDS = 10


def probe(paths: ClusterPaths) -> CompletedProcess[str]:
    """Run a query; on success the database exists from then on."""
    known = f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"  # noqa: S608 - a constant
    answer = psql(paths, known)
    if answer.returncode == 0 and not answer.stdout.strip():
        answer = psql(paths, f"CREATE DATABASE {DATABASE}")
    return answer


def psql(paths: ClusterPaths, statement: str) -> CompletedProcess[str]:
    """Run a statement in the database `postgres`, which always exists."""
    return ServiceUser().run(
        paths.bin_dir / "psql", "-XAtq",
        "-h", paths.socket.resolve(), "-p", str(PORT),
        "-U", SUPERUSER, "-d", "postgres", "-c", statement,
        environment={"PGCONNECT_TIMEOUT": str(CONNECT_SECONDS)},
    )  # fmt: skip


def reason(answer: CompletedProcess[str]) -> str:
    """Return psql's reason for not connecting, without its preface and hints."""
    first = answer.stderr.partition("\n")[0]
    return first.partition("failed: ")[2] or first
