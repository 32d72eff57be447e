"""The environment, checked for misspelt and empty variables of the settings."""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping

_PREFIX = "ROLLCALL_"
# Kubernetes sets these in every pod for a Service that is called `rollcall`.
_SERVICE_LINK = re.compile(r"SERVICE_(HOST|PORT\w*)|PORT_\d+_(TCP|UDP|SCTP)\w*")
_SERVICE_LINK_HINT = (
    "Kubernetes sets it for a Service called rollcall: set enableServiceLinks: false "
    "in the pod's spec"
)


def process_environment() -> Mapping[str, str]:
    """The environment of this process, for whatever is not a setting."""
    return os.environ  # noqa: TID251 - the one place that hands it on


def environment_problems(
    fields: Iterable[str], environ: Mapping[str, str]
) -> Iterator[str]:
    """Yield a sentence for each variable of Rollcall's prefix that would mislead.

    A misspelt name, which would otherwise be ignored, and an empty database URL,
    which would otherwise start the embedded Postgres.

    Args:
        fields: names of the settings.
        environ: environment variables of the process.
    """
    known = [_PREFIX + name.upper() for name in fields]
    for variable in sorted(environ):
        if variable.startswith(_PREFIX) and variable not in known:
            yield f"{variable} is not a setting: {_hint(variable, known)}"
    if environ.get(f"{_PREFIX}DATABASE_URL") == "":
        yield (
            f"{_PREFIX}DATABASE_URL is empty: set it to the URL of your Postgres, or "
            "unset it to use the embedded Postgres"
        )
    if environ.get(f"{_PREFIX}PORT", "").startswith(("tcp://", "udp://")):
        yield f"{_PREFIX}PORT is not a port: {_SERVICE_LINK_HINT}"


def _hint(variable: str, known: list[str]) -> str:
    if _SERVICE_LINK.fullmatch(variable.removeprefix(_PREFIX)):
        return _SERVICE_LINK_HINT
    near = difflib.get_close_matches(variable, known, n=1)
    return f"did you mean {near[0]}?" if near else "docs/settings.md lists them all"
