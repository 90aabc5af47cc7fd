"""What of a configuration only the machine can tell: whether its folders can be used as it says."""

from __future__ import annotations

import errno

from dropd.config import Config, Route
from dropd.errors import Problem
from dropd.naming import Template
from dropd.spool.filing import trial


def check_folders(config: Config) -> list[Problem]:
    """Trial renames from each inbox that exists to its done and failed. A missing inbox is no problem: it can come back."""
    problems = []
    for route in config.routes:
        for kind in ("done", "failed"):
            folder = Template.parse(getattr(route, kind)).fixed_folder
            error = trial(str(route.inbox), folder)
            if error is not None:
                problems.append(_problem(config, route, kind, folder, error))
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
