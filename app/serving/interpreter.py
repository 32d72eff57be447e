"""Check of the Python interpreter for a known vulnerability."""

import logging
import platform
import sys
from collections.abc import Sequence
from http import cookies
from types import ModuleType

from app.logs import fields

log = logging.getLogger(__name__)

# First patch releases without CVE-2024-7592: parsing a cookie with many backslashes
# takes quadratic time.
_FIXED_IN = {(3, 11): 10, (3, 12): 6}


def fixed_release(
    version: Sequence[int] = sys.version_info[:3], parser: ModuleType = cookies
) -> str | None:
    """First release with the fix, such as "3.11.10"; None if this one has it.

    Args:
        version: major, minor and patch release.
        parser: module that parses cookies. Debian and others add the fix to an older
            release: it replaced a loop by this function.
    """
    major, minor, patch = version
    fixed = _FIXED_IN.get((major, minor), 0)
    if patch >= fixed or hasattr(parser, "_unquote_replace"):
        return None
    return f"{major}.{minor}.{fixed}"


def warn_if_vulnerable() -> None:
    """Log a warning if the interpreter has the vulnerability."""
    fixed = fixed_release()
    if fixed is not None:
        log.warning(
            "Python has the vulnerability CVE-2024-7592",
            extra=fields(version=platform.python_version(), fixed_in=fixed),
        )
