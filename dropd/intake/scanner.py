"""What is there: one look at an inbox, by descriptors, without changing anything."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from dropd.fsys import FOLDER, opened
from dropd.model import Stamp
from dropd.naming import COMPANION_SUFFIX, PRIVATE, SIDECAR_SUFFIX, display, fits, is_ignored

DEEPEST = 100
"""Levels of sub-folders at the most: nobody files by more, and somebody might make thousands."""


@dataclass(frozen=True, slots=True)
class LookRules:
    """What of a route decides which files are drops."""

    match: tuple[str, ...]
    ignore: tuple[str, ...]
    levels: int  # of sub-folders: 0 none, 1 the first, -1 all
    keep_out: frozenset[str]  # paths below the inbox that are not looked into: done, failed
    companions: bool  # each file waits for its `<name>.meta.json`


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that will be a drop once it has settled."""

    folder: str
    name: str
    stamp: Stamp
    uid: int
    companion: Stamp | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.folder, self.name


@dataclass(slots=True)
class Look:
    """What one look at an inbox found. `left_alone`: shown path -> why, for people."""

    files: list[Seen] = field(default_factory=list)
    left_alone: dict[str, str] = field(default_factory=dict)


def look(fd: int, rules: LookRules) -> Look:
    """Everything in the inbox behind `fd`. Raises OSError only for the inbox itself: a sub-folder that cannot be read is reported."""
    found = Look()
    for folder, entries in _folders(fd, rules, found):
        for entry in entries.values():
            _sort(folder, entry, entries, rules, found)
    return found


def _folders(
    fd: int, rules: LookRules, found: Look, folder: str = "", depth: int = 0
) -> Iterator[tuple[str, dict[str, os.DirEntry[str]]]]:
    """Each folder that is looked into, with what is in it but for folders. One descriptor a level: sub-folders may be thousands."""
    with os.scandir(fd) as entries:
        listed = {entry.name: entry for entry in entries}
    below = {name for name, entry in listed.items() if entry.is_dir(follow_symlinks=False)}
    yield folder, {name: entry for name, entry in listed.items() if name not in below}
    for name in sorted(below):
        path = f"{folder}/{name}" if folder else name
        if name == PRIVATE or path in rules.keep_out or is_ignored(name, rules.ignore):
            continue
        reason = _not_looked_into(path, depth, rules)
        if reason is None:
            try:
                with opened(name, FOLDER, dir_fd=fd) as below_fd:
                    if os.fstat(below_fd).st_dev == os.fstat(fd).st_dev:
                        yield from _folders(below_fd, rules, found, path, depth + 1)
                        continue
                    reason = "it is another filesystem than the inbox, and no file can be moved out of it"
            except OSError as error:
                reason = f"the folder cannot be read ({error.strerror})"
        if reason:
            found.left_alone[display(path) + "/"] = reason


def _not_looked_into(path: str, depth: int, rules: LookRules) -> str | None:
    """Why a folder is passed over; "" where there is nothing to say of it; None: it is looked into."""
    if rules.levels == -1 or depth < rules.levels:
        return f"it lies more than {DEEPEST} folders deep" if depth >= DEEPEST else None
    if any(kept.startswith(path + "/") for kept in rules.keep_out):
        return ""  # done or failed lie in it
    if rules.levels == 0:
        return "it is a folder, and this inbox takes files alone"
    return "it is a folder below a sub-folder, and this inbox takes one level of them"


def _sort(folder: str, entry: os.DirEntry[str], entries: dict[str, os.DirEntry[str]], rules: LookRules, found: Look) -> None:
    name = entry.name
    if is_ignored(name, rules.ignore):
        return
    shown = display(f"{folder}/{name}" if folder else name)
    if rules.companions and name.endswith(COMPANION_SUFFIX):
        if name.removesuffix(COMPANION_SUFFIX) not in entries:
            found.left_alone[shown] = f"it waits for the file {display(name.removesuffix(COMPANION_SUFFIX))!r} that it belongs to"
        return
    if name.endswith(SIDECAR_SUFFIX):
        found.left_alone[shown] = "it is a result file of dropd's, which is never sent; it can be deleted"
        return
    if not fits(name, rules.match):
        found.left_alone[shown] = f"its name fits none of the patterns of this inbox ({', '.join(rules.match)})"
        return
    reason, about = _plain(entry)
    if about is None:
        if reason:
            found.left_alone[shown] = reason
        return
    companion = None
    if rules.companions:
        twin = entries.get(name + COMPANION_SUFFIX)
        companion_about = _plain(twin)[1] if twin else None
        if companion_about is None:
            found.left_alone[shown] = f"it waits for its companion {display(name + COMPANION_SUFFIX)!r}"
            return
        companion = Stamp.of(companion_about)
    found.files.append(Seen(folder, name, Stamp.of(about), about.st_uid, companion))


def _plain(entry: os.DirEntry[str]) -> tuple[str | None, os.stat_result | None]:
    """The file's data if it is a plain file of this folder; else why not (None: it is gone again)."""
    try:
        about = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None, None
    except OSError as error:
        return f"it cannot be read ({error.strerror})", None
    if stat.S_ISLNK(about.st_mode):
        return "it is a link to another place, and only plain files are taken", None
    if not stat.S_ISREG(about.st_mode):
        return "it is not a plain file", None
    if about.st_nlink != 1:
        return "the same file has a second name elsewhere (a hard link), and only plain files are taken", None
    # its device is not asked: on an overlay it differs from its folder's. What is mounted there does not let itself be moved
    return None, about
