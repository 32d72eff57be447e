"""How large the head of a request may be (RFC 6585 section 5)."""

from app.errors import HeadersTooLargeError

# Of a path with its query and all headers, names and values; proxies let less through.
MAX_HEAD_BYTES = 64 * 1024
# A head that goes on beyond this is not waited for, nor are trailers and extensions.
CUT_BYTES = 16 * MAX_HEAD_BYTES


def is_too_large(url: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a path with its query and these headers are more than is taken."""
    size = len(url) + sum(len(name) + len(value) for name, value in headers)
    return size > MAX_HEAD_BYTES


def too_large() -> HeadersTooLargeError:
    """What its sender is told."""
    return HeadersTooLargeError(
        f"The path and the headers are at most {MAX_HEAD_BYTES} bytes."
    )
