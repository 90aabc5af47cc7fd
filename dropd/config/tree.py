"""YAML text -> plain texts, lists and mappings, with the line of every key and value. Nothing is read as a number, a date or a boolean.

PyYAML's BaseLoader composes the nodes; they are turned into data here, because its constructors forget lines and accept duplicate keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]
"""Where a value stands: `("routes", 0, "match", 1)`."""

MOST_VALUES = 100_000
DEEPEST = 20
_PLAIN_TAGS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map")
_NOTHING = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake in the text itself. `key` is the mapping's key that is at fault, where there is one."""

    line: int
    path: Path
    what: str
    remedy: str


@dataclass
class Tree:
    """What the text holds, and where. `data` is None where nothing could be read."""

    data: Any = None
    faults: list[Fault] = field(default_factory=list)
    keys: dict[Path, int] = field(default_factory=dict)
    values: dict[Path, int] = field(default_factory=dict)
    broken: set[Path] = field(default_factory=set)  # paths whose value is not to be judged any further

    def line(self, path: Path) -> int:
        """The line a person should go to: a single value's own, a block's key, and for what is missing the block it belongs in."""
        while path:
            if path in self.values:
                value = self.at(path)
                return self.keys.get(path, self.values[path]) if isinstance(value, dict | list) else self.values[path]
            path = path[:-1]
        return 1

    def key_line(self, path: Path) -> int:
        return self.keys.get(path) or self.line(path)

    def at(self, path: Path) -> Any:
        """The value at a path, None where there is none."""
        value = self.data
        for step in path:
            if isinstance(value, dict) and isinstance(step, str):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
                value = value[step]
            else:
                return None
        return value


class _TooLarge(Exception):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault


class _Alias(yaml.Node):
    """`*name`: the node it stands for, and the line where it is used."""

    def __init__(self, node: yaml.Node, mark: yaml.Mark) -> None:
        super().__init__(node.tag, node.value, mark, mark)
        self.node = node


class _Loader(yaml.BaseLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        alias = self.peek_event() if self.check_event(yaml.AliasEvent) else None  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        return _Alias(node, alias.start_mark) if alias and node else node


def read(text: str) -> Tree:
    """Never raises: every mistake of form is in `faults`."""
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_node() if loader.check_node() else None
        second = loader.get_node() if loader.check_node() else None
    except yaml.MarkedYAMLError as error:
        return _only(*_syntax(error))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return _only(line, "a character stands here that YAML does not allow", "remove it")
    except (ValueError, OverflowError):  # PyYAML turns \U escapes into characters without looking whether they exist
        return _only(
            loader.line + 1 if loader else 0, "a \\U escape names a character that does not exist", "write the character itself"
        )
    except RecursionError:
        return _only(loader.line + 1 if loader else 0, "blocks are nested too deeply", "write it as in config.example.yaml")
    if second is not None:
        return _only(
            second.start_mark.line + 1,
            "a second document starts here",
            "keep one document in the file, without `---` between its parts",
        )
    if node is None:
        return _only(1, "is empty", "start from config.example.yaml")
    tree = Tree()
    try:
        tree.data = _Builder(tree).build(node, (), 0)
    except _TooLarge as error:
        return Tree(faults=[error.fault])
    return tree


def _only(line: int, what: str, remedy: str) -> Tree:
    return Tree(faults=[Fault(line, (), what, remedy)])


_SYNTAX = (
    ("cannot start any token", "a character stands here that cannot start a value", 'put the value in quotes, like "@acme"'),
    (
        "mapping values are not allowed",
        "a colon stands where no key can be",
        'check the indentation, or put the value in quotes, like "a: b"',
    ),
    ("could not find expected ':'", "a key has no colon after it", "write it as key: value"),
    (
        "found undefined alias",
        "an alias (*) stands here that was not defined before",
        "put the value in quotes if the * belongs to it",
    ),
    ("found duplicate anchor", "an anchor (&) is defined twice", "give each anchor a name of its own"),
    (
        "while scanning a quoted scalar",
        "a quoted text that begins here does not end, or has an unknown escape",
        "close the quotes; in '…' a \\ needs no escape",
    ),
    (
        "while parsing a block mapping",
        "a line is not indented like its neighbours",
        "indent keys that belong together equally, with spaces",
    ),
    (
        "while parsing a block collection",
        "a line is not indented like its neighbours",
        "indent the dashes of a list equally, with spaces",
    ),
    (
        "while parsing a flow",
        "a { or [ that opens here is not closed, or a comma is missing in it",
        "write it as {key: value, key: value} or [one, two]",
    ),
    ("while scanning a directive", "a line starts with %", "put the value in quotes if the % belongs to it"),
    (
        "while scanning an a",
        "an anchor (&) or alias (*) has no proper name",
        "put the value in quotes if the & or * belongs to it",
    ),
    ("while scanning a tag", "a tag (!) stands here that cannot be read", "put the value in quotes if the ! belongs to it"),
    ("while parsing a node", "a tag (!) stands here that cannot be read", "put the value in quotes if the ! belongs to it"),
)


def _syntax(error: yaml.MarkedYAMLError) -> tuple[int, str, str]:
    """A syntax error in words of our own; what stands in the file is never repeated, it could be a secret."""
    problem, context = error.problem or "", error.context or ""
    opened = any(sign in context for sign in ("while parsing a flow", "while scanning a quoted scalar"))
    mark = error.context_mark if opened else error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    if "'\\t'" in problem:
        return line, "a tab stands here", "indent with spaces"
    for sign, what, remedy in _SYNTAX:
        if sign in problem or sign in context:
            return line, what, remedy
    return line, "the line cannot be read as YAML", "check its indentation, quotes and colons"


class _Builder:
    """Walks the nodes once; an alias counts anew at each use, so that a few lines cannot grow without limit."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.left = MOST_VALUES

    def fault(self, line: int, path: Path, what: str, remedy: str) -> None:
        self.tree.faults.append(Fault(line, path, what, remedy))
        self.tree.broken.add(path)

    def build(self, node: yaml.Node, path: Path, line: int) -> Any:
        """`line`: where an alias above was used, 0 without one; what it stands for is then said to be there."""
        while isinstance(node, _Alias):
            line, node = line or node.start_mark.line + 1, node.node
        here = line or node.start_mark.line + 1
        self.tree.values[path] = here
        self.left -= 1
        if self.left < 0 or len(path) > DEEPEST:
            raise _TooLarge(
                Fault(here, path[:2], "this grows too large, by aliases (*) within aliases or too deep blocks", "write it out")
            )
        if node.tag not in _PLAIN_TAGS:
            self.fault(
                here, path, "a tag (!) stands before the value", "leave it out, or put the value in quotes if the ! belongs to it"
            )
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, line)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index), line) for index, item in enumerate(node.value)]
        return self.text(node, path, here)

    def text(self, node: yaml.Node, path: Path, here: int) -> str:
        text = str(node.value)
        if not text.strip() or (text in _NOTHING and not getattr(node, "style", None)):
            where = "the dash" if path and isinstance(path[-1], int) else "the key"
            self.fault(here, path, "nothing stands here" if path else "is empty", f"write a value, or leave {where} out")
        elif any(character == "\0" or 0xD800 <= ord(character) <= 0xDFFF for character in text):
            self.fault(
                here, path, "the value has a character that no text can hold", "remove the escape, or write the character itself"
            )
        return text

    def mapping(self, node: yaml.MappingNode, path: Path, line: int) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            at = line or key_node.start_mark.line + 1
            key = key_node.node if isinstance(key_node, _Alias) else key_node
            if not isinstance(key, yaml.ScalarNode):
                self.fault(at, path, "a key is a list or a block", "write plain keys, as in config.example.yaml")
                continue
            name = str(key.value)
            inner = (*path, name)
            if name == "<<":
                self.fault(at, inner, "keys cannot be merged in with <<", "write them out, or put them under defaults")
            elif any(character == "\0" or 0xD800 <= ord(character) <= 0xDFFF for character in name):
                self.fault(at, path, "a key has a character that no text can hold", "write it as in config.example.yaml")
            elif ":" in name and isinstance(value_node, yaml.ScalarNode) and not value_node.value:
                self.fault(at, inner, "a colon has no space after it", "write it as key: value")
            elif name in out:
                self.fault(
                    at, inner, f"the key stands here a second time, first in line {self.tree.keys[inner]}", "keep one of the two"
                )
            else:
                self.tree.keys[inner] = at
                out[name] = self.build(value_node, inner, line)
        return out
