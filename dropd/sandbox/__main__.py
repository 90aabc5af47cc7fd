"""`python -m dropd.sandbox --port N [--root DIR]`: a sandbox in a process of its own; prints one JSON line when it answers."""

from __future__ import annotations

import argparse
from pathlib import Path

from dropd.sandbox.server import announce_json, serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dropd.sandbox", description="The four vendors' APIs as one local server.")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--root", type=Path, help="make a configuration, its secrets and inboxes here")
    given = parser.parse_args()
    serve(given.port, given.root, announce_json)


if __name__ == "__main__":
    main()
