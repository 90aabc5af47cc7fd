"""What a route sends along: its ids and fields as templates, what they may be made of, and which values are allowed."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from dropd.config.models import ROUTE_IDS, compiled
from dropd.config.report import nearest, one_of, shown
from dropd.config.rows import Row
from dropd.config.table import Allow
from dropd.config.words import EXAMPLES
from dropd.naming import PLACEHOLDERS, Template, TemplateError, nfc
from dropd.providers.base import Provider

Kind = type[Provider]
_CONTENT_TYPE = re.compile(r"[a-z]+/[A-Za-z0-9.+_-]+")


def _name_pattern(row: Row) -> re.Pattern[str] | None:
    """The pattern, once its named groups are known not to hide a placeholder of dropd's own."""
    text = row.get("name_pattern")
    if not isinstance(text, str) or not row.is_good("name_pattern"):
        return None
    pattern = compiled(text)
    for group in pattern.groupindex:
        if group in PLACEHOLDERS:
            row.add(
                "name_pattern",
                f"the group {group!r} would hide dropd's own {{{group}}}",
                f"give it another name, like (?P<my_{group}>…)",
                about=group,
            )
    return pattern


class Templates:
    """The templates of one route."""

    def __init__(self, row: Row, kind: Kind | None) -> None:
        self.row = row
        self.kind = kind
        self.pattern = _name_pattern(row)
        self.groups = tuple(self.pattern.groupindex) if self.pattern else ()
        self.knows_groups = row.is_good("name_pattern")
        self.ids = self._ids()
        self.extra_fields = self._extra_fields()
        self.allow = self._allow()

    @property
    def _vendor(self) -> str:
        label = f" ({self.kind.traits.label})" if self.kind else ""
        return f"provider {self.row.get('provider')}{label}"

    def _ids(self) -> dict[str, Template]:
        row, out = self.row, {}
        for key in ROUTE_IDS:
            if self.kind and not row.has(key) and row.is_good(key) and key in self.kind.traits.required_ids:
                row.add(key, f"is missing, {self._vendor} needs it", f"add {EXAMPLES.get(key, key + ': …')}")
            if not row.has(key) or not row.is_good(key) or not self._is_known(key):
                continue
            template = self._template(key, row.get(key))
            if template is not None:
                out[key] = template
                if template.is_fixed:
                    self._check_fixed(key, template.fill({}))
        return out

    def _is_known(self, key: str) -> bool:
        if self.kind is None or key in self.kind.traits.ids:
            return True
        known = [one for one in (*ROUTE_IDS, "extra_fields") if one in self.kind.traits.ids]
        remedy = "move it to the routes that need it" if self.row.inherits(key) else "remove it"
        self.row.add(
            key, f"{self._vendor} does not know this key{self.row.of(key)}", f"{remedy}, it knows {', '.join(known)}", on_key=True
        )
        return False

    def _template(self, key: str, text: Any, *inner: str) -> Template | None:
        """None where the text is no template, or has placeholders that can never be filled."""
        row = self.row
        try:
            template = Template.parse(str(text))
        except TemplateError as error:
            what, _, remedy = str(error).partition("; ")
            row.add(key, what, remedy, *inner)
            return None
        good = True
        for name in template.placeholders:
            mistake = self._placeholder(name)
            if mistake:
                good = False
                row.add(key, f"{mistake[0]}{row.of(key)}", mistake[1], *inner, about=name)
        return template if good else None

    def _placeholder(self, name: str) -> tuple[str, str] | None:
        below = self.row.get("subfolders")
        if name.startswith("meta."):
            return None
        if name in PLACEHOLDERS:
            if name == "folder" and below == "false" and self.row.is_good("subfolders"):
                return "{folder} is always empty without sub-folders", "add subfolders: true"
            if name == "path" and below != "deep" and self.row.is_good("subfolders"):
                return "{path} is always empty without deeper levels", "write subfolders: deep"
            return None
        if name in self.groups or not self.knows_groups:
            return None
        known = (*PLACEHOLDERS, *self.groups)
        close = nearest(name, known)
        remedy = f"write {{{close}}}" if close else f"write one of {', '.join(f'{{{one}}}' for one in known)} or {{meta.KEY}}"
        return f"unknown placeholder {{{name}}}", remedy

    def _check_fixed(self, key: str, value: str) -> None:
        row = self.row
        if any(unicodedata.category(character) == "Cc" for character in value):
            row.add(key, "the value has a line break or another control character", "write it on one line, as a plain text")
        elif key in getattr(self.kind, "path_ids", ()) and value.strip() in (".", ".."):
            row.add(key, f"{shown(value)} would change the address that is called", f"write the id itself, like {EXAMPLES[key]}")
        elif key == "file_type" and self.kind:
            known = self.kind.traits.file_types
            if known is None and self.kind.traits.file_type_is_content_type:
                known = self.kind.traits.content_types
                if known is None and not _CONTENT_TYPE.fullmatch(value):
                    row.add(key, f"{shown(value)} is not a content type{row.of(key)}", "write one like application/pdf")
            if known is not None and value not in known:
                close = nearest(value, known)
                row.add(
                    key,
                    f"{self._vendor} does not take the file type {shown(value)}{row.of(key)}",
                    f"write {close}" if close else f"write {one_of(known)}",
                )

    def _extra_fields(self) -> dict[str, Template]:
        row, out = self.row, {}
        if not row.get("extra_fields") or not self._is_known("extra_fields"):
            return {}
        own = {str(name).casefold(): name for name in getattr(self.kind, "own_fields", frozenset())}
        for name, text in row.get("extra_fields").items():
            if row.report.is_bad((*row.path("extra_fields"), name)):
                continue
            if not name.strip() or not name.isprintable():
                row.add(
                    "extra_fields", "a field's name is empty or has control characters", "write the name as the vendor gives it"
                )
            elif name.casefold() in own:
                row.add(
                    "extra_fields",
                    f"{own[name.casefold()]} is a field that dropd fills itself",
                    "remove it, the route's own keys fill it",
                    name,
                    on_key=True,
                )
            else:
                template = self._template("extra_fields", text, name)
                if template is not None:
                    out[name] = template
        return out

    def _allow(self) -> dict[str, Allow]:
        row, out = self.row, {}
        for key, value in row.get("allow").items():
            if row.report.is_bad((*row.path("allow"), key)):
                continue
            if key not in ROUTE_IDS:
                close = nearest(key, ROUTE_IDS)
                row.add("allow", "unknown id", f"write {close or 'one of ' + one_of(ROUTE_IDS)}", key, on_key=True)
            elif self.kind and key not in self.kind.traits.ids:
                if not row.inherits("allow"):
                    row.add("allow", f"{self._vendor} does not know this id", "remove it", key, on_key=True)
            elif not row.has(key):
                if not row.inherits("allow"):
                    row.add("allow", f"the route has no {key}", f"remove it, or add {EXAMPLES[key]}", key, on_key=True)
            else:
                out[key] = _allow_of(value)
                self._check_allowed(key, out[key])
        client = self.ids.get("client_id")
        if client and not client.is_fixed and "client_id" not in row.get("allow") and row.is_good("allow"):
            row.add(
                "client_id",
                f"whoever drops a file chooses this value, and nothing limits it{row.of('client_id')}",
                f"add {EXAMPLES['allow']} with the clients that are allowed",
                about="allow",
            )
        return out

    def _check_allowed(self, key: str, allow: Allow) -> None:
        template = self.ids.get(key)
        if template and template.is_fixed and not allow.permits(template.fill({})):
            self.row.add(
                key, f"{shown(template.fill({}))} is not among the values under allow{self.row.of(key)}", "correct one of the two"
            )


def _allow_of(value: str | list[str]) -> Allow:
    return Allow(compiled(value)) if isinstance(value, str) else Allow(texts=frozenset(nfc(text) for text in value))
