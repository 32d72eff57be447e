"""The limit of file descriptors, which connections share with the service's files."""

import logging
import resource

from app.logs import fields

log = logging.getLogger(__name__)

_LIMIT = resource.RLIMIT_NOFILE
# systemd and shells set 1,024, which a few idle clients exhaust.
_FEW = 4096
# More than a worker can serve; some programs loop over all that they may have.
_MANY = 1024 * 1024
# Each idle connection costs some kilobytes.
_MAX_CONNECTIONS = 64 * 1024
# For the journal, the key file, Postgres and whatever a request opens.
_RESERVE = 128


def raise_descriptor_limit() -> None:
    """Raise the soft limit of this process to the hard one; children inherit it."""
    soft, hard = (_finite(limit) for limit in resource.getrlimit(_LIMIT))
    if soft < min(hard, _MANY):
        _, unchanged = resource.getrlimit(_LIMIT)
        soft = min(hard, _MANY)
        resource.setrlimit(_LIMIT, (soft, unchanged))
    if soft < _FEW:
        log.warning(
            "few file descriptors: set LimitNOFILE or ulimit -n",
            extra=fields(limit=soft),
        )


def max_connections() -> int:
    """How many connections this process may hold open."""
    soft = _finite(resource.getrlimit(_LIMIT)[0])
    return min(_MAX_CONNECTIONS, soft - min(_RESERVE, soft // 2))


def _finite(limit: int) -> int:
    return _MANY if limit == resource.RLIM_INFINITY else limit
