"""Is a folder on a network filesystem? SQLite's locks and its write-ahead log do not work there."""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")
_NETWORK = re.compile(r"cifs|smb3|nfs|nfs4|fuse\.(?!fuse-overlayfs$).*")  # fuse-overlayfs is a container's own disk


def network_filesystem(folder: Path) -> str | None:
    """The filesystem's type if it is one of the network, else None; also None where the kernel does not tell."""
    try:
        lines = MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    real = os.path.realpath(folder)
    best, kind = "", None
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if len(fields) < 5:
            continue
        mount = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4])
        inside = real == mount or real.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):  # of two on the same folder the later one is on top
            best, kind = mount, rest[0]
    return kind if kind and _NETWORK.fullmatch(kind) else None
