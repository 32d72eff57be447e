"""Credentials: the key that a request carries in a header or in its body.

The first header that is present decides: a right key in a later one does not help.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence

from app.request_errors import UnauthorizedError

# In the order in which they decide.
KEY_HEADERS = (b"authorization", b"x-api-key", b"x-write-key", b"key")
_PREFIX = b"rc_"
_READ_PREFIX = b"rc_read_"
BODY_FIELDS = ("writeKey", "api_key")
_BODY_KEY = re.compile(rb'"(?:writeKey|api_key)"\s{0,8}:\s{0,8}"([!#-\[\]-~]{1,100})"')


def first_headers(headers: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by their lower-case names; of a repeated one the first."""
    return dict(reversed(headers))


def is_anonymous(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether headers, by lower-case names, show neither a key nor a cookie."""
    return not any(name == b"cookie" or name in KEY_HEADERS for name, _ in headers)


def key_from_headers(headers: dict[bytes, bytes]) -> bytes | None:
    """The key in headers from `first_headers`; None without a header of a key.

    Raises:
        UnauthorizedError: the header that decides has no key, or no known scheme.
    """
    for name in KEY_HEADERS:
        value = headers.get(name)
        if value is not None:
            key = _READERS.get(name, bytes)(value)
            if not key:
                raise UnauthorizedError(f"The header {name.decode()} has no key.")
            return key
    return None


def refused_writer(key: bytes) -> UnauthorizedError:
    """The error for a key that does not write."""
    if key.startswith(_READ_PREFIX):
        return UnauthorizedError("This is a read key, which writes nothing.")
    if not key.startswith(_PREFIX):
        return UnauthorizedError(
            "The key is not one of Rollcall's, which begin with `rc_`. "
            "Is it a placeholder, or the key of another service?"
        )
    return UnauthorizedError("This key is unknown or revoked.")


def key_from_body(value: object) -> bytes:
    """The key that a decoded body carries.

    Raises:
        UnauthorizedError: it carries none.
    """
    found = value if isinstance(value, dict) else {}
    present = [found[name] for name in BODY_FIELDS if found.get(name) is not None]
    if not present or not isinstance(present[0], str):
        raise UnauthorizedError(
            "Send a write key: `Authorization: Bearer KEY`, Basic with the key as "
            "user name, `x-api-key`, `X-Write-Key`, or `writeKey` in the body."
        )
    return present[0].encode(errors="surrogatepass")


def find_body_key(start: bytes) -> bytes | None:
    """A guess at the key in the first part of a body, without decoding it."""
    found = _BODY_KEY.search(start)
    return None if found is None else found[1]


def _from_authorization(value: bytes) -> bytes:
    """RFC 6750 section 2.1, or RFC 7617 with the key as the user name."""
    if value.startswith(b"Bearer ") and (key := value[7:].strip()):
        return key  # as nearly all send it
    scheme, _, credentials = value.strip().partition(b" ")
    credentials = credentials.strip()
    match scheme.lower():
        case b"bearer" | b"basic" if not credentials:
            raise UnauthorizedError(
                "The header authorization has a scheme but no key after it."
            )
        case b"bearer":
            return credentials
        case b"basic":
            return _user_name(credentials)
        case b"":
            return b""
        case _ if not credentials:
            raise UnauthorizedError(
                "The header authorization has no scheme. "
                "Send `Authorization: Bearer KEY`."
            )
        case _:
            raise UnauthorizedError(
                "The header authorization has an unknown scheme. "
                "Send `Authorization: Bearer KEY`, or Basic with the key as user name."
            )


def _user_name(credentials: bytes) -> bytes:
    try:
        decoded = base64.b64decode(credentials, validate=True)
    except binascii.Error:
        raise UnauthorizedError(
            "The header authorization has the scheme Basic but no Base64 after it. "
            "Send Base64 of `KEY:`, or `Authorization: Bearer KEY`."
        ) from None
    name = decoded.partition(b":")[0]
    if not name:
        raise UnauthorizedError(
            "The header authorization has no user name. Send the key as user name."
        )
    return name


def _from_write_key(value: bytes) -> bytes:
    """Jitsu's SDK takes nothing but `id:secret`: the key may be either of them."""
    for part in value.split(b":"):
        if part.startswith(_PREFIX):
            return part
    return value


_READERS = {b"authorization": _from_authorization, b"x-write-key": _from_write_key}
