"""How libpq's programs find a database: by their environment, not their arguments."""

import re
from itertools import starmap
from urllib.parse import parse_qsl, unquote, urlsplit

from app.store.dsn import dsn_of

# What a URL's query may name, and libpq's variable for it; the rest are settings of
# the server. A key's password has no variable: psql asks for it.
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

    They lead where `create_engine` connects to, by the driver's precedence: what
    stands before the `?` of a URL outranks what stands after it.

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
    options = [found.pop("PGOPTIONS", ""), *starmap(_option, query.items())]
    found["PGOPTIONS"] = " ".join(filter(None, options))
    return {name: value for name, value in found.items() if name and value}


def _split(places: str) -> tuple[str, str]:
    """The hosts and the ports of one list: libpq wants a list of each."""
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
    """A setting of the server, as one of its command line's options."""
    return f"-c {name}=" + re.sub(r"([\\\s])", r"\\\1", value)
