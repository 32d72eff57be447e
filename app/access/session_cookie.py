"""The session cookie, taken out of a request without a general cookie parser.

`http.cookies` takes quadratic time on older patch releases of Python
(CVE-2024-7592), and FastAPI calls it for every route. Therefore the app behind the
dispatcher only sees a `Cookie` header that holds at most our own cookie.
"""

import re
from collections.abc import Iterable

SESSION_COOKIE = "rollcall_session"
# Browsers accept a `__Host-` cookie only over HTTPS, without a domain, at path `/`:
# no other host and no other service on this host can set it.
SECURE_SESSION_COOKIE = f"__Host-{SESSION_COOKIE}"

# In order of trust: over HTTPS a browser may hold both.
_NAMES = (SECURE_SESSION_COOKIE.encode(), SESSION_COOKIE.encode())
# Browsers keep at most 180 cookies of a host. More are not looked at, because a client
# without a key could send 60,000, which would take 10 ms.
_MAX_COOKIES = 256
# Our tokens have 43 characters.
_TOKEN = re.compile(rb"[\w-]{1,100}")


def keep_session_cookie(
    headers: Iterable[tuple[bytes, bytes]],
) -> list[tuple[bytes, bytes]]:
    """Copy request headers with no cookie but the session's.

    Args:
        headers: lower-case names and values.

    Returns:
        The same headers, in which one `cookie` header with at most one cookie
        replaces all others. That cookie has the plain name, also where the browser
        sent the `__Host-` one.
    """
    kept: list[tuple[bytes, bytes]] = []
    cookies: list[bytes] = []
    for name, value in headers:
        if name == b"cookie":
            cookies.append(value)
        else:
            kept.append((name, value))
    found = _session_in(cookies)
    if found is not None:
        kept.append((b"cookie", found))
    return kept


def _session_in(cookies: list[bytes]) -> bytes | None:
    """The first valid session cookie as `name=token`, the `__Host-` one preferred."""
    found: dict[bytes, bytes] = {}
    for pair in b";".join(cookies).split(b";", _MAX_COOKIES):
        name, _, token = pair.strip(b" \t").partition(b"=")
        if name in _NAMES and _TOKEN.fullmatch(token):
            found.setdefault(name, token)
    for name in _NAMES:
        if name in found:
            return SESSION_COOKIE.encode() + b"=" + found[name]
    return None
