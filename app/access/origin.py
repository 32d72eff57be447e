"""Where a request comes from, for the request log."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

Network = IPv4Network | IPv6Network


class RequestOrigin:
    """Reads the trace and the client's address of a request.

    Args:
        trusted_proxies: networks of the proxies in front. Without any, no address is
            logged.
    """

    def __init__(self, trusted_proxies: Sequence[Network] = ()) -> None:
        self._trusted = tuple(trusted_proxies)

    def fields(self, headers: Mapping[bytes, bytes], peer: str) -> dict[str, str]:
        """Fields `traceparent` and `client` of the log, if they are known.

        Args:
            headers: lower-case names.
            peer: address at the other end of the connection; may be empty.
        """
        found = {}
        traceparent = headers.get(b"traceparent")
        if traceparent is not None and _TRACEPARENT.fullmatch(traceparent):
            found["traceparent"] = traceparent.decode()
        if self._trusted and peer:
            forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
            found["client"] = self._client(forwarded, peer)
        return found

    def _client(self, forwarded: str, peer: str) -> str:
        """Return the last address that is not a proxy: proxies added those behind."""
        client = peer
        with suppress(ValueError):  # what follows is no address
            for address in reversed(forwarded.split(",")):
                parsed = ip_address(client)
                if not any(parsed in network for network in self._trusted):
                    break
                ip_address(address.strip())
                client = address.strip()
        return client
