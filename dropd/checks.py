"""What of a configuration only the machine can tell: whether its folders can be used as it says."""

from __future__ import annotations

import errno
import os

from dropd.config import Config, Route
from dropd.errors import Problem
from dropd.naming import Template
from dropd.spool.filing import trial


def check_folders(config: Config) -> list[Problem]:
    """Two routes in one folder, and trial renames from each inbox to its done and failed. A missing inbox is no problem: it can come back."""
    problems = _shared(config)
    for route in config.routes:
        for kind in ("done", "failed"):
            folder = Template.parse(getattr(route, kind)).fixed_folder
            error = trial(str(route.inbox), folder)
            if error is not None:
                problems.append(_problem(config, route, kind, folder, error))
    return problems


def _shared(config: Config) -> list[Problem]:
    """Inboxes that are one folder by a link or a mount: whichever route looked first would decide whose books a file goes to."""
    problems, seen = [], dict[tuple[int, int], Route]()
    for route in config.routes:
        try:
            about = os.stat(route.inbox)
        except OSError:
            continue
        first = seen.setdefault((about.st_dev, about.st_ino), route)
        if first is not route:
            what = f"{route.inbox} is the same folder as {first.inbox}, the inbox of {first.name}, line {first.line}"
            remedy = "give each route an inbox of its own"
            problems.append(Problem(str(config.file), route.line, f"routes[{route.name}].inbox", what, remedy))
    return problems


def _problem(config: Config, route: Route, kind: str, folder: str, error: OSError) -> Problem:
    where = f"routes[{route.name}].{kind}"
    if error.errno == errno.EXDEV:
        what = f"{folder} is on another filesystem or mount than the inbox {route.inbox}"
        remedy = "choose a folder on the same one, so that a file can be moved there whole"
    elif error.errno in (errno.ENOTDIR, errno.ELOOP):
        what = f"{folder} leads over a file or a link, and inside the inbox {route.inbox} only real folders are used"
        remedy = f"remove it, or write the folder that is meant as {kind}"
    else:
        what = f"a file cannot be moved from {route.inbox} to {folder} ({error.strerror})"
        remedy = "give dropd's user the right to write in both folders"
    return Problem(str(config.file), route.line, where, what, remedy)
