"""The parts of a database URL, as libpq's environment variables and as a sentence."""

import re
from itertools import starmap
from urllib.parse import parse_qsl, unquote, urlsplit

from app.store.dsn import dsn_of

_CONNECT_TIMEOUT_S = "5"
# Parameters of a URL and their libpq variables; other parameters are settings of the
# server. The password of a client key has no variable: psql asks for it.
_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "database": "PGDATABASE",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "sslmode": "PGSSLMODE",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslpassword": None,
    "sslcrl": "PGSSLCRL",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "krbsrvname": "PGKRBSRVNAME",
    "gsslib": "PGGSSLIB",
    "application_name": "PGAPPNAME",
    "options": "PGOPTIONS",
}


def describe_target(url: str, *, host: str | None = None) -> str:
    """`The database D at HOST:PORT, role R`, without the password.

    Args:
        url: of the database.
        host: one of its hosts, as `hosts_of` gives them; by default all.
    """
    found = psql_environment(url)
    hosts = [host] if host is not None else hosts_of(url)
    database = found.get("PGDATABASE") or "(default)"
    role = f", role {found['PGUSER']}" if "PGUSER" in found else ""
    return f"The database {database} at {', '.join(hosts) or '(default host)'}{role}"


def hosts_of(url: str) -> list[str]:
    """Return each `HOST:PORT` (or directory of a socket) of a URL."""
    found = psql_environment(url)
    hosts = found.get("PGHOST", "").split(",") if "PGHOST" in found else []
    ports = found.get("PGPORT", "").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return [
        host if host.startswith("/") else f"{host}:{port or 5432}"
        for host, port in zip(hosts, ports, strict=True)
    ]


def psql_environment(url: str) -> dict[str, str]:
    """The variables of libpq for a URL (libpq's "Environment Variables").

    They lead to the same database as `create_engine`, by the driver's precedence:
    the parts before the `?` of a URL outrank the parameters after it.

    Raises:
        ConfigurationError: the URL cannot be used; the text never shows it.
    """
    parts = urlsplit(dsn_of(url))
    query = dict(parse_qsl(parts.query))
    login, _, places = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    ahead = {"user": user, "password": password, "dbname": parts.path[1:]}
    query |= {name: unquote(value) for name, value in ahead.items() if value}
    if places:
        hosts, ports = _split(places)
        query |= {"host": unquote(hosts), "port": ports}
    elif "host" in query:
        hosts, ports = _split(query["host"])
        query |= {"host": hosts, "port": query.get("port") or ports}
    found = {
        variable: query.pop(name)
        for name, variable in _VARIABLES.items()
        if name in query
    }
    if "," in found.get("PGHOST", ""):
        # libpq asks the hosts one after the other, for ever if one is silent.
        found["PGCONNECT_TIMEOUT"] = _CONNECT_TIMEOUT_S
    options = [found.pop("PGOPTIONS", ""), *starmap(_option, query.items())]
    found["PGOPTIONS"] = " ".join(filter(None, options))
    return {name: value for name, value in found.items() if name and value}


def _split(places: str) -> tuple[str, str]:
    """Split a list of HOST:PORT into the two lists that libpq takes."""
    hosts: list[str] = []
    ports: list[str] = []
    for place in places.split(","):
        host, port = place, ""
        if place.startswith("["):
            host, _, port = place[1:].partition("]")
            port = port[1:]
        elif not place.startswith("/"):
            host, _, port = place.partition(":")
        hosts.append(host)
        ports.append(port)
    return ",".join(hosts), ",".join(ports) if any(ports) else ""


def _option(name: str, value: str) -> str:
    """Return a server setting as an option of its command line."""
    return f"-c {name}=" + re.sub(r"([\\\s])", r"\\\1", value)
