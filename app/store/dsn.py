"""The database URL: which forms are accepted, and how the driver gets it."""

import re
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from app.errors import ConfigurationError

# Parameter that `with_pooler` adds; neither Postgres nor the driver gets it.
_POOLER = "rollcall_pooler"

_SCHEMES = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})
_HOSTS = re.compile(r"(?:(?:\[[\w:.%]+\]|[^\s:@/\[\],]*)(?::\d{1,5})?,?)*")
_PARAMETER = re.compile(r"[A-Za-z_][\w.]*")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# Only libpq knows these: a server refuses a connection that sends them.
_LIBPQ_ONLY = frozenset(
    {
        "client_encoding",
        "connect_timeout",
        "fallback_application_name",
        "gssencmode",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "tcp_user_timeout",
    }
)


def dsn_of(url: str) -> str:
    """The URL as asyncpg takes it; a URL that it would misread is refused.

    An unescaped character in a password shifts the parts of a URL, and then a piece of
    the password would be shown as a host, a port or a database.

    Raises:
        ConfigurationError: the URL cannot be used; the text never shows it.
    """
    parts, query = _split(url)
    return urlunsplit(
        ("postgresql", parts.netloc, parts.path, urlencode(_parameters(query)), "")
    )


def with_pooler(url: str) -> str:
    """The same URL, for connections through a pooler such as PgBouncer; idempotent."""
    if _POOLER in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}{_POOLER}=on"


def has_pooler(url: str) -> bool:
    """Whether the URL comes from `with_pooler`.

    Raises:
        ConfigurationError: the URL cannot be used; the text never shows it.
    """
    _, query = _split(url)
    return _POOLER in query


def _split(url: str) -> tuple[SplitResult, dict[str, str]]:
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise _not_a_url() from None
    if not _is_well_formed(parts) or not all(map(_PARAMETER.fullmatch, query)):
        raise _not_a_url()
    return parts, query


def _is_well_formed(parts: SplitResult) -> bool:
    return (
        parts.scheme in _SCHEMES
        and parts.netloc.count("@") <= 1
        and _HOSTS.fullmatch(parts.netloc.rpartition("@")[2]) is not None
        and not {"@", "/"} & set(parts.path[1:])
        and not parts.fragment
    )


def _parameters(query: dict[str, str]) -> dict[str, str]:
    """The query parameters that asyncpg or Postgres understands."""
    unknown = _LIBPQ_ONLY | {_POOLER}
    kept = {name: value for name, value in query.items() if name not in unknown}
    if "ssl" in kept:  # SQLAlchemy's name for it
        kept.setdefault("sslmode", kept.pop("ssl"))
    if kept.get("sslmode", "prefer") not in _SSL_MODES:
        raise ConfigurationError(
            f"The database URL's sslmode must be one of {', '.join(_SSL_MODES)}."
        )
    if kept.pop("channel_binding", "prefer") == "require":
        raise ConfigurationError(
            "The database URL asks for channel_binding=require, which the driver"
            " cannot do; use sslmode=verify-full with sslrootcert instead."
        )
    return kept


def _not_a_url() -> ConfigurationError:
    return ConfigurationError(
        "The database URL is not one that Postgres takes; it looks like"
        " postgresql://USER:PASSWORD@HOST:5432/DATABASE, and characters such as"
        " @ / : ? # % in the user or password are percent-encoded."
    )
