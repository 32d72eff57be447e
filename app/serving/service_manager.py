"""What systemd says to a service that it starts, in the environment."""

import os
from typing import NamedTuple


class ServiceManager(NamedTuple):
    """What whoever started us has for us.

    Attributes:
        sockets: how many listening ones it hands over (sd_listen_fds(3)).
        notify: the Unix socket where it wants to be told (sd_notify(3)).
    """

    sockets: int
    notify: str | None


def service_manager() -> ServiceManager:
    """What the environment holds for this very process."""
    environment = os.environ  # noqa: TID251 - systemd's word for us, and no setting
    ours = environment.get("LISTEN_PID") == str(os.getpid())
    count = environment.get("LISTEN_FDS", "") if ours else ""
    return ServiceManager(
        int(count) if count.isdecimal() else 0, environment.get("NOTIFY_SOCKET")
    )
