"""Collects mistakes: puts file, line and place before each, keeps secrets out of places, says the same thing once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from dropd.config.tree import Path, Tree
from dropd.errors import Problem
from dropd.naming import display

_SECRETIVE = re.compile(r"secret|password|private_key|(^|_)token$|api_key", re.IGNORECASE)
_PLACES = ("env", "file", "credential")
PLACES_RULE = "write {env: NAME}, {file: PATH} or {credential: NAME}"
LONGEST = 400
LONGEST_PLACE = 160


def shown(text: str, most: int = 80) -> str:
    """A text of the file in quotes, fit for one line of a terminal."""
    clean = display(text)
    return "'" + (clean if len(clean) <= most else clean[: most - 1] + "…") + "'"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    among = {candidate.casefold(): candidate for candidate in known}
    close = get_close_matches(word.casefold().replace("-", "_"), among, 1, 0.6) or get_close_matches(
        word.casefold(), among, 1, 0.6
    )
    return among[close[0]] if close else None


def one_of(words: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = sorted(words)
    return f"{', '.join(most)} or {last}" if most else last


def place(path: Path, tree: Tree) -> str:
    """`routes[acme-invoices].match[1]`; below a secret's key nothing but env, file and credential is repeated."""
    out = ""
    for index, step in enumerate(path[: _hidden_below(path)]):
        if isinstance(step, int):
            name = tree.at((*path[: index + 1], "name")) if path[:index] == ("routes",) else None
            out += f"[{display(name)[:80] if isinstance(name, str) and name.strip() else step}]"
        else:
            out += ("." if out else "") + display(step.partition(":")[0])[:80]  # after a colon could stand a value
    return (out if len(out) <= LONGEST_PLACE else out[: LONGEST_PLACE - 1] + "…") or "the file"


def _hidden_below(path: Path) -> int | None:
    """How much of a path may be shown, where the rest stands below a secret's key and is not env, file or credential."""
    for index in range(1, len(path)):
        if isinstance(path[index - 1], str) and _SECRETIVE.search(str(path[index - 1])) and path[index] not in _PLACES:
            return index
    return None


class Report:
    """All mistakes of one file. A path that the text itself broke, or that has a mistake of form, is not judged again."""

    def __init__(self, file: str, tree: Tree) -> None:
        self.file = file
        self.tree = tree
        self._problems: list[Problem] = []
        self._said: set[tuple[Path, str]] = set()
        self._bad: set[Path] = set(tree.broken)
        for fault in tree.faults:
            hidden = _hidden_below(fault.path)
            if hidden is None:
                self._add(fault.line, fault.path, fault.what, fault.remedy)
            else:  # what stands in a secret's stead could be the secret
                self.add(fault.path[:hidden], "the place of a secret cannot be read", PLACES_RULE)
                self._bad.add(fault.path[:hidden])

    def add(self, path: Path, what: str, remedy: str, *, key: bool = False, about: str = "") -> None:
        """`key`: the line of the key is meant, not that of its value. `about` tells two mistakes at one path apart."""
        if (path, about) in self._said:
            return
        self._said.add((path, about))
        self._add(self.tree.key_line(path) if key else self.tree.line(path), path, what, remedy)

    def spoil(self, path: Path) -> None:
        """What stands at this path is wrong in its form: no later check looks at it."""
        self._bad.add(path)

    def is_bad(self, path: Path) -> bool:
        """Whether the value, or a block around it, is known to be wrong."""
        return any(path[:end] in self._bad for end in range(len(path) + 1))

    def has_bad_within(self, path: Path) -> bool:
        return self.is_bad(path) or any(bad[: len(path)] == path for bad in self._bad)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(sorted(self._problems, key=lambda problem: problem.line))

    def _add(self, line: int, path: Path, what: str, remedy: str) -> None:
        texts = [display(text) if len(text) <= LONGEST else display(text[:LONGEST]) + "…" for text in (what, remedy)]
        self._problems.append(Problem(self.file, line, place(path, self.tree), texts[0], texts[1]))
