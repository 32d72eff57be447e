"""How libpq's programs find a database: by their environment, not their arguments."""

from sqlalchemy import make_url

_QUERY = {
    "host": "PGHOST",
    "port": "PGPORT",
    "sslmode": "PGSSLMODE",
    "ssl": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "options": "PGOPTIONS",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


def psql_environment(url: str) -> dict[str, str]:
    """The variables of libpq (its documentation's "Environment Variables").

    Args:
        url: as `create_engine` takes it.
    """
    parts = make_url(url)
    found = {
        "PGHOST": parts.host,
        "PGPORT": parts.port,
        "PGUSER": parts.username,
        "PGPASSWORD": parts.password,
        "PGDATABASE": parts.database,
        **{
            _QUERY[name]: value for name, value in parts.query.items() if name in _QUERY
        },
    }
    return {name: str(value) for name, value in found.items() if value}
