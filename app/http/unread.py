"""How long bytes have waited in the kernel, on a connection that was left unread."""

import asyncio
import socket
import struct

# Offset of tcpi_last_data_recv in struct tcp_info of Linux, in milliseconds.
_LAST_DATA_RECV = 8 + 11 * 4
_UINT32 = struct.Struct("I")
# Other systems do not tell.
_TCP_INFO = getattr(socket, "TCP_INFO", None)


def waited_s(transport: asyncio.Transport) -> float:
    """Seconds since the kernel received the last bytes; 0 if it does not tell."""
    client = transport.get_extra_info("socket")
    if client is None or _TCP_INFO is None:
        return 0.0
    try:
        size = _LAST_DATA_RECV + _UINT32.size
        info = client.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, size)
    except OSError:  # a Unix socket
        return 0.0
    milliseconds: int = _UINT32.unpack_from(info, _LAST_DATA_RECV)[0]
    return milliseconds / 1000
