"""`dropd sandbox`: the vendors alone, and a configuration for them."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote

from dropd.sandbox import Sandbox, serve


def run_sandbox(port: int, root: Path | None) -> None:
    """Serve until SIGINT or SIGTERM. Without `root` the configuration is printed, for the current folder."""

    def tell(sandbox: Sandbox, config: Path | None) -> None:
        print(f"# The four vendors answer at {sandbox.url} until Ctrl-C.", file=sys.stderr)
        if config is None:
            print(sandbox.config_yaml(Path.cwd() / "practice"), flush=True)
        else:
            print(f"Wrote {config}; in another terminal: dropd run -c {quote(str(config))}", flush=True)

    serve(port, root, tell)
