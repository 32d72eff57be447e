"""The environment of psql: libpq reads the connection from variables."""

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


def psql_environment(url: str) -> dict[str, str]:
    """The variables of libpq (its documentation's "Environment Variables").

    They select the same database as `create_engine`: the part of a URL before the `?`
    takes precedence over the parameters after it.

    Args:
        url: as `create_engine` takes it.

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
    """Split a list of host:port into the two lists that libpq expects."""
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
    """A server setting as a command line option."""
    return f"-c {name}=" + re.sub(r"([\\\s])", r"\\\1", value)
