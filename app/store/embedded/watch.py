"""Start the server again when it ends while somebody uses it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.errors import EmbeddedPostgresError
from app.store.embedded.locks import exclusive
from app.store.embedded.server import ensure, lives
from app.store.embedded.site import Site

LOOK_SECONDS = 0.5
RETRY_SECONDS = 5.0


class _LeftError(Exception):
    """The user leaves; a start that is under way is no longer waited for."""


@contextmanager
def kept_alive(site: Site) -> Iterator[None]:
    """Look twice a second whether the server lives, and start it where it does not.

    What a killed server (by the kernel's out-of-memory killer, say) had
    committed is there again after its recovery, under the same socket.
    """
    left = threading.Event()
    watcher = threading.Thread(target=_watch, args=(site, left), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        left.set()
        watcher.join()


def _watch(site: Site, left: threading.Event) -> None:
    pause = LOOK_SECONDS
    while not left.wait(pause):
        pause = LOOK_SECONDS
        if lives(site):
            continue
        try:
            with exclusive(site.start_lock):
                if not lives(site):  # else another user was first
                    site.announce("Postgres has ended unasked; starting it again.")
                ensure(site, sleep=_sleep_until(left))
        except _LeftError:
            return
        except (EmbeddedPostgresError, OSError) as error:
            site.announce(f"{error} Trying again in {RETRY_SECONDS:.0f} s.")
            pause = RETRY_SECONDS


def _sleep_until(left: threading.Event) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        if left.wait(seconds):
            raise _LeftError

    return sleep
