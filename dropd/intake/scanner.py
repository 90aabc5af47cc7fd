"""What is there: one look at an inbox, by descriptors, without changing anything."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from dropd.fsys import FOLDER
from dropd.model import Stamp
from dropd.naming import COMPANION_SUFFIX, PRIVATE, SIDECAR_SUFFIX, display, fits, is_ignored


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
    device = os.fstat(fd).st_dev
    for folder, entries in _folders(fd, rules, found):
        names = {entry.name: entry for entry in entries}
        for name, entry in names.items():
            _sort(folder, name, entry, names, rules, device, found)
    return found


def _folders(fd: int, rules: LookRules, found: Look) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    waiting: list[tuple[str, int, int]] = [("", os.dup(fd), 0)]
    try:
        while waiting:
            folder, folder_fd, depth = waiting.pop()
            try:
                with os.scandir(folder_fd) as entries:
                    listed = list(entries)
                yield folder, [entry for entry in listed if not entry.is_dir(follow_symlinks=False)]
                below = [entry.name for entry in listed if entry.is_dir(follow_symlinks=False)]
                waiting.extend(_open_below(folder, folder_fd, below, depth, rules, found))
            finally:
                os.close(folder_fd)
    finally:
        for _, folder_fd, _ in waiting:
            os.close(folder_fd)


def _open_below(
    folder: str, folder_fd: int, names: Collection[str], depth: int, rules: LookRules, found: Look
) -> Iterator[tuple[str, int, int]]:
    for name in sorted(names):
        path = f"{folder}/{name}" if folder else name
        if name == PRIVATE or path in rules.keep_out or is_ignored(name, rules.ignore):
            continue
        if rules.levels != -1 and depth >= rules.levels:
            if any(kept.startswith(path + "/") for kept in rules.keep_out):
                pass  # done or failed lie in it
            elif rules.levels == 0:
                found.left_alone[display(path) + "/"] = "it is a folder, and this inbox takes files alone"
            else:
                found.left_alone[display(path) + "/"] = (
                    "it is a folder below a sub-folder, and this inbox takes one level of them"
                )
            continue
        try:
            yield path, os.open(name, FOLDER, dir_fd=folder_fd), depth + 1
        except OSError as error:
            found.left_alone[display(path) + "/"] = f"the folder cannot be read ({error.strerror})"


def _sort(
    folder: str,
    name: str,
    entry: os.DirEntry[str],
    names: dict[str, os.DirEntry[str]],
    rules: LookRules,
    device: int,
    found: Look,
) -> None:
    if is_ignored(name, rules.ignore):
        return
    shown = display(f"{folder}/{name}" if folder else name)
    if rules.companions and name.endswith(COMPANION_SUFFIX):
        if name.removesuffix(COMPANION_SUFFIX) not in names:
            found.left_alone[shown] = f"it waits for the file {display(name.removesuffix(COMPANION_SUFFIX))!r} that it belongs to"
        return
    if name.endswith(SIDECAR_SUFFIX):
        found.left_alone[shown] = "it is a result file of dropd's, which is never sent; it can be deleted"
        return
    if not fits(name, rules.match):
        found.left_alone[shown] = f"its name fits none of the patterns of this inbox ({', '.join(rules.match)})"
        return
    reason, about = _plain(entry, device)
    if about is None:
        if reason:
            found.left_alone[shown] = reason
        return
    companion = None
    if rules.companions:
        twin = names.get(name + COMPANION_SUFFIX)
        companion_about = _plain(twin, device)[1] if twin else None
        if companion_about is None:
            found.left_alone[shown] = f"it waits for its companion {display(name + COMPANION_SUFFIX)!r}"
            return
        companion = Stamp.of(companion_about)
    found.files.append(Seen(folder, name, Stamp.of(about), about.st_uid, companion))


def _plain(entry: os.DirEntry[str], device: int) -> tuple[str | None, os.stat_result | None]:
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
    if about.st_dev != device:
        return "it lies on another filesystem than the inbox", None
    return None, about
