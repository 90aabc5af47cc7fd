"""What dropd tells systemd: sd_notify(3), a datagram to the socket that the environment names."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> bool:
    """Send `READY=1`, `STOPPING=1`, `STATUS=…`. False where nobody listens; never raises."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        try:
            out.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)
        except OSError:
            return False
    return True
