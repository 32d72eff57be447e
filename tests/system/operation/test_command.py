"""The `rollcall` command, as an operator types it on a database of theirs."""

import re

from tests.support.cli.invocation import invoke
from tests.support.http.wire import Wire, connected, event, request
from tests.support.postgres.database import id_of
from tests.support.service.process import environment, rollcall, until
from tests.support.service.workers import spread
from tests.system.conftest import Serve

# Five on a machine of its own; tests/access holds that by a clock of its own.
REVOKED_WITHIN_S = 30.0


def test_psql_gets_all_arguments_as_they_are_and_stdout_to_itself(
    env: dict[str, str],
) -> None:
    done = rollcall(
        *("psql", "-XAt", "-v", "name=it's; two words", "--set=other=$HOME", "-f", "-"),
        env=env,
        stdin="SELECT :'name', :'other';",
    )

    assert done.stdout == "it's; two words|$HOME\n"
    assert re.fullmatch(r"The database rollcall_test_\w+ at .*\.\n", done.stderr)
    assert done.returncode == 0
    assert "psql is the PostgreSQL" in rollcall("psql", "--help", env=env).stdout


def test_exit_status_of_psql_is_passed_on(env: dict[str, str]) -> None:
    done = rollcall(
        "psql", "-Xv", "ON_ERROR_STOP=1", "-f", "-", env=env, stdin="SELECT nonsense;"
    )

    assert (done.stdout, done.returncode) == ("", 3)
    assert 'column "nonsense" does not exist' in done.stderr


def test_new_key_is_alone_on_stdout_and_listed_by_its_id_alone(
    env: dict[str, str],
) -> None:
    made = rollcall("keys", "create", "--source", "crm", env=env)
    listed = rollcall("keys", "list", env=env).stdout

    assert re.fullmatch(r"rc_[\w-]{32}\n", made.stdout)
    assert made.stderr == ""
    assert re.search(r"^ *[0-9a-f]{12} +crm +write +20", listed, re.MULTILINE)
    assert made.stdout.strip() not in listed


def test_key_for_reading_is_made_listed_and_revoked(env: dict[str, str]) -> None:
    made = invoke("keys", "create", "--source", "ann", "--scope", "read", env=env)
    assert re.fullmatch(r"rc_read_[\w-]{32}\n", made.stdout)
    assert made.stderr == ""

    revoked = invoke("keys", "revoke", id_of(made.stdout.strip()), env=env)
    assert (revoked.returncode, revoked.stdout) == (0, "")
    listed = invoke("keys", "list", env=env).stdout
    assert re.search(
        r"^ *[0-9a-f]{12} +ann +read +20.* revoked 20", listed, re.MULTILINE
    )
    other = invoke("keys", "create", "--source", "x", "--scope", "admin", env=env)
    assert (other.returncode, other.stdout) == (1, "")
    assert "read:SOURCE" in other.stderr


def post(wires: list[Wire], key: str) -> set[int]:
    """Send with a key over each connection; all statuses that came back."""
    for wire in wires:
        wire.send(request(key, event()))
    return {wire.answer()[0] for wire in wires}


def test_key_works_at_once_and_is_revoked_in_time_on_every_worker(
    serve: Serve, env: dict[str, str]
) -> None:
    with spread(serve("--workers", "2"), at_least=8) as wires:
        key = invoke("keys", "create", "--source", "crm", env=env).stdout.strip()
        assert post(wires, key) == {200}

        done = invoke("keys", "revoke", id_of(key), env=env)
        assert (done.stdout, done.returncode) == ("", 0)
        until(
            lambda: post(wires, key) == {401},
            within_s=REVOKED_WITHIN_S,
            what="the key is refused by every worker",
        )


def test_operator_error_is_one_line(env: dict[str, str]) -> None:
    done = rollcall("keys", "revoke", "000000000000", env=env)

    assert (done.stdout, done.returncode) == ("", 1)
    assert done.stderr.startswith("rollcall: No key has the id")
    assert done.stderr.count("\n") == 1


def test_key_without_a_schema_names_the_migrate_command(
    empty_database_url: str,
) -> None:
    done = invoke(
        *("keys", "create", "--source", "crm"),
        env=environment(database_url=empty_database_url),
    )

    assert (done.stdout, done.returncode) == ("", 1)
    assert "run `rollcall migrate`" in done.stderr


def test_setting_that_cannot_be_used_is_named_and_no_password_shown(
    env: dict[str, str],
) -> None:
    unusable = environment(database_url="postgresql://u:s3cr@t@host/db")
    done = rollcall("serve", env=env | unusable)

    assert (done.stdout, done.returncode) == ("", 1)
    assert "percent-encoded" in done.stderr
    assert "s3cr" not in done.stderr
    assert len(re.findall("^rollcall: ", done.stderr, re.MULTILINE)) == 1
    assert "Traceback" not in done.stderr


def test_serve_refuses_a_database_without_schema_until_it_is_migrated(
    empty_database_url: str, serve: Serve
) -> None:
    env = environment(database_url=empty_database_url)
    refused = rollcall("serve", "--port", "0", env=env)

    assert (refused.stdout, refused.returncode) == ("", 1)
    assert "run `rollcall migrate`" in refused.stderr

    migrated = invoke("migrate", env=env)
    assert (migrated.stdout, migrated.returncode) == ("", 0)
    assert "went from nothing to" in migrated.stderr.splitlines()[-1]
    with connected(serve(database_url=empty_database_url)) as wire:
        wire.send(b"GET /readyz HTTP/1.1\r\nHost: rollcall\r\n\r\n")
        status, _, answer = wire.answer()
    assert (status, answer["status"]) == (200, "ready")


def test_occupied_port_is_reported_in_one_line(
    serve: Serve, env: dict[str, str]
) -> None:
    _, port = serve().endpoint
    done = rollcall("serve", "--port", str(port), env=env)

    assert (done.stdout, done.returncode) == ("", 1)
    assert f"port {port}" in done.stderr
    assert "--port" in done.stderr


def test_service_starts_without_its_database(
    serve: Serve,
) -> None:
    service = serve(database_url="postgresql://nobody@127.0.0.1:1/none")
    with connected(service) as wire:
        wire.send(b"GET /livez HTTP/1.1\r\nHost: rollcall\r\n\r\n")
        assert wire.answer()[0] == 200
        for asked in (
            b"GET /readyz HTTP/1.1\r\nHost: rollcall\r\n\r\n",
            request("rc_some", event()),
        ):
            wire.send(asked)
            status, headers, answer = wire.answer()
            assert (status, answer["code"]) == (503, "unavailable")
            assert headers["retry-after"].isdigit()


def test_migration_without_a_database_is_reported_in_one_line() -> None:
    nobody = environment(database_url="postgresql://nobody@127.0.0.1:1/nothing")
    done = invoke("migrate", env=nobody)

    assert done.returncode == 1
    assert re.fullmatch(r"rollcall: .*connection refused.*\n", done.stderr)
