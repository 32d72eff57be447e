"""How large the headers of a request may be (RFC 6585 section 5)."""

from app.errors import HeadersTooLargeError

# Of the path with its query, all headers and all trailers: the bytes of each name and
# value, and the weight below for each. Proxies let less through.
MAX_HEADER_BYTES = 64 * 1024
# What a header costs in memory beside its bytes, so that many short ones cost no more
# than a few long ones.
HEADER_WEIGHT = 32


def headers_too_large() -> HeadersTooLargeError:
    """The error that its sender receives."""
    return HeadersTooLargeError(
        f"The path and the headers are at most {MAX_HEADER_BYTES} bytes, counting "
        f"{HEADER_WEIGHT} more for each header."
    )
