from asyncio.subprocess import PIPE, STDOUT, create_subprocess_exec
from urllib.parse import urlencode

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from app.embedded import find_binaries
from app.errors import ConfigurationError
from app.store.engine import create_engine
from app.store.operator.psql import psql_environment
from tests.support.postgres.proxy import Proxy

WHERE = """
SELECT concat_ws(
    '|', current_user, current_database(), current_setting('search_path'),
    current_setting('work_mem')
)
"""


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
@pytest.mark.parametrize(
    ("rest", "environment"),
    [
        ("u@h/d", {"PGUSER": "u", "PGHOST": "h", "PGDATABASE": "d"}),
        (
            "u%40er:p%2Fa%3As%25s@h:6543/da%20ta",
            {
                "PGUSER": "u@er",
                "PGPASSWORD": "p/a:s%s",
                "PGHOST": "h",
                "PGPORT": "6543",
                "PGDATABASE": "da ta",
            },
        ),
        (
            "/d?host=/run/pg&port=6543&user=u&password=p%26w",
            {
                "PGUSER": "u",
                "PGPASSWORD": "p&w",
                "PGHOST": "/run/pg",
                "PGPORT": "6543",
                "PGDATABASE": "d",
            },
        ),
        ("%2Frun%2Fpg:1/d", {"PGHOST": "/run/pg", "PGPORT": "1", "PGDATABASE": "d"}),
        ("[::1]:1/d", {"PGHOST": "::1", "PGPORT": "1", "PGDATABASE": "d"}),
        ("a:1,b,[::1]/d", {"PGHOST": "a,b,::1", "PGPORT": "1,,", "PGDATABASE": "d"}),
        (
            "/?host=a:1,b:2&dbname=d",
            {"PGHOST": "a,b", "PGPORT": "1,2", "PGDATABASE": "d"},
        ),
        ("/d?host=a,b&port=1,2", {"PGHOST": "a,b", "PGPORT": "1,2", "PGDATABASE": "d"}),
        (
            "u@a/d?user=v&host=b&port=2&dbname=e",
            {"PGUSER": "u", "PGHOST": "a", "PGDATABASE": "d"},
        ),
        (
            "h?ssl=require&sslrootcert=/ca&connect_timeout=9&sslpassword=x",
            {"PGHOST": "h", "PGSSLMODE": "require", "PGSSLROOTCERT": "/ca"},
        ),
        ("h?sslmode=verify-full", {"PGHOST": "h", "PGSSLMODE": "verify-full"}),
        (
            "h?target_session_attrs=read-write&application_name=x&passfile=/p",
            {
                "PGHOST": "h",
                "PGTARGETSESSIONATTRS": "read-write",
                "PGAPPNAME": "x",
                "PGPASSFILE": "/p",
            },
        ),
        (
            "h?options=-c%20jit%3Doff&search_path=a%5C,%20b",
            {"PGHOST": "h", "PGOPTIONS": r"-c jit=off -c search_path=a\\,\ b"},
        ),
        ("", {}),
    ],
)
def test_every_part_of_a_url_has_its_variable(
    scheme: str, rest: str, environment: dict[str, str]
) -> None:
    found = psql_environment(f"{scheme}://{rest}")
    timeout = found.pop("PGCONNECT_TIMEOUT", None)
    assert found == environment
    assert timeout == ("5" if "," in found.get("PGHOST", "") else None)


@pytest.mark.parametrize(
    "url", ["secret", "mysql://u:secret@h/d", "postgresql://u:se/secret@h:x/d"]
)
def test_url_that_the_engine_refuses_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        psql_environment(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "form",
    [
        "postgresql+asyncpg://{login}@/{database}?{direct}",
        "postgres://{login}@/{database}?{direct}",
        "postgresql:///{database}?{direct}&user={user}",
        "postgresql://{login}@{address}/{database}?sslmode=disable",
        "postgresql://{login}@{closed},{address}/{database}",
        "postgresql://{login}@/{database}?host={closed},{address}",
        "postgresql://{login}@/{database}?{direct}&options=-c%20work_mem%3D1234kB",
        "postgresql://{login}@/{database}?{direct}&search_path=public,%20%22a%20b%22&work_mem=99kB",
    ],
)
async def test_psql_gets_where_the_engine_gets(
    database_url: str, form: str, closed_address: str
) -> None:
    url = make_url(database_url)
    async with Proxy(database_url).listening() as proxy:
        address = make_url(proxy.url)
        same = form.format(
            login=database_url.partition("://")[2].partition("@")[0],
            user=url.username,
            database=url.database,
            direct=urlencode(url.query or {"host": url.host, "port": url.port}),
            address=f"{address.host}:{address.port}",
            closed=closed_address,
        )
        assert await ask_psql(same) == await ask_engine(same)


async def ask_engine(url: str) -> str:
    engine = create_engine(url)
    async with engine.connect() as connection:
        answer = (await connection.execute(text(WHERE))).scalar_one()
    await engine.dispose()
    return str(answer)


async def ask_psql(url: str) -> str:
    psql = await create_subprocess_exec(
        find_binaries(None) / "psql",
        "-XAtc",
        WHERE,
        env=psql_environment(url),
        stdout=PIPE,
        stderr=STDOUT,
    )
    output, _ = await psql.communicate()
    return output.decode().strip()
