"""Ask the server, through psql: ready means that SQL works, and nothing less."""

from subprocess import CompletedProcess

from app.store.embedded.account import Account
from app.store.embedded.site import DATABASE, PORT, SUPERUSER, Site

CONNECT_SECONDS = 10


def ask(site: Site) -> CompletedProcess[str]:
    """See whether SQL works; where it does, the database exists from then on."""
    known = f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'"  # noqa: S608 - a constant of ours
    answer = psql(site, known)
    if answer.returncode == 0 and not answer.stdout.strip():
        answer = psql(site, f"CREATE DATABASE {DATABASE}")
    return answer


def psql(site: Site, statement: str) -> CompletedProcess[str]:
    """Run a statement in the database that is always there, on a new connection."""
    return Account().run(
        *(site.bin_dir / "psql", "-XAtq", "-h", site.socket.resolve()),
        *("-p", str(PORT), "-U", SUPERUSER, "-d", "postgres", "-c", statement),
        environment={"PGCONNECT_TIMEOUT": str(CONNECT_SECONDS)},
    )


def reason(answer: CompletedProcess[str]) -> str:
    """Why psql could not connect, without its preface and its advice."""
    first = answer.stderr.partition("\n")[0]
    return first.partition("failed: ")[2] or first
