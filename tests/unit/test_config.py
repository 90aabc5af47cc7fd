"""What a configuration comes to: values, defaults, paths, secrets, the example, and the schema for editors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel
from pydantic_core.core_schema import ErrorType

from dropd.config import Allow, Config, Log, Subfolders, example, load, mounts, schema
from dropd.config.models import LogPart, RoutePart
from dropd.config.schema import as_written
from dropd.config.shape import alternatives
from dropd.config.words import explain
from dropd.errors import ConfigError
from dropd.fields import Rate, Timeout
from dropd.naming import Template
from dropd.providers.registry import kinds

ROUTES = """
routes:
  - {name: a, inbox: in/a, provider: arm, client_id: 0123, file_type: no}
"""
FILE = """\
providers:
  arm: {type: amili-arm, base_url: "https://a.example/v1", user_id: dropd, auth: {token: {file: secrets/arm}}, tls: {ca: ca.pem}}
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str | bytes, name: str = "dropd.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def read(path: Path, **more: bool) -> Config:
    return load(path, kinds(), **{"secrets": False, **more})


def problems(path: Path, **more: bool) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(path, **more)
    return [str(problem).removeprefix(str(path.parent) + "/") for problem in raised.value.problems]


def test_what_is_left_out_has_its_default_and_ids_stay_text(write: Write, tmp_path: Path) -> None:
    config = read(write(FILE + ROUTES))
    route = config.routes[0]
    assert (config.file, config.state_dir, config.language, config.log) == (
        tmp_path / "dropd.yaml",
        Path("/var/lib/dropd"),
        "en",
        Log("auto", "info"),
    )
    assert {key: template.text for key, template in route.ids.items()} == {"client_id": "0123", "file_type": "no"}
    assert (route.match, route.ignore, route.name_pattern, route.subfolders) == (("*",), (), None, Subfolders.NONE)
    assert (route.settle, route.scan_every, route.max_size, route.allow_empty) == (2.0, 30.0, None, False)
    assert (route.line, config.providers["arm"].line, config.providers["arm"].type) == (5, 2, "amili-arm")
    assert not route.wants_companion


def test_relative_paths_are_relative_to_the_file_and_done_is_in_the_inbox(write: Write, tmp_path: Path) -> None:
    config = read(write("state_dir: state\n" + FILE + ROUTES))
    route = config.routes[0]
    assert (config.state_dir, route.inbox) == (tmp_path / "state", tmp_path / "in/a")
    assert (route.done, route.failed) == (f"{tmp_path}/in/a/done", f"{tmp_path}/in/a/failed")
    options: Any = config.providers["arm"].options
    assert (options.auth.token.file, options.tls.ca) == (tmp_path / "secrets/arm", tmp_path / "ca.pem")


def test_done_is_relative_to_the_file_too_and_keeps_its_dates(write: Write, tmp_path: Path) -> None:
    route = read(write(FILE + ROUTES.replace("file_type: no", "file_type: no, done: 'x/../out/{yyyy}/{mm}-{dd}'"))).routes[0]
    assert route.done == f"{tmp_path}/out/{{yyyy}}/{{mm}}-{{dd}}"


def test_braces_of_a_folder_survive_as_literal_ones(write: Write) -> None:
    route = read(write(FILE + ROUTES.replace("in/a", "'/in/{a}'"))).routes[0]
    assert route.inbox == Path("/in/{a}")
    assert Template.parse(route.done).fill({}) == "/in/{a}/done"


def test_a_route_s_own_key_replaces_the_default_as_a_whole(write: Write) -> None:
    text = """
defaults: {settle: 0s, provider: arm, file_type: D, match: ["*.d"], allow: {client_id: "[0-9]+"}, subfolders: true}
routes:
  - {name: a, inbox: /in/a, client_id: "1"}
  - {name: b, inbox: /in/b, client_id: "{folder}", file_type: B, match: ["*.b"], allow: {client_id: ["7", "8"]}, settle: 1m}
"""
    first, second = read(write(FILE + text)).routes
    assert (first.provider, first.ids["file_type"].text, first.match, first.settle) == ("arm", "D", ("*.d",), 0.0)
    assert (second.ids["file_type"].text, second.match, second.settle, second.subfolders) == ("B", ("*.b",), 60.0, Subfolders.ONE)
    assert first.allow["client_id"].permits("1")
    assert second.allow["client_id"].permits("7")
    assert not second.allow["client_id"].permits("1")


def test_allow_holds_for_the_whole_value() -> None:
    pattern = Allow(re.compile("22[0-9]{2}"))
    assert pattern.permits("2218")
    assert not pattern.permits("22189")
    assert not pattern.permits("2218\n")
    assert not Allow(texts=frozenset({"2218"})).permits("221")


def test_a_template_over_meta_makes_the_route_wait_for_companions(write: Write) -> None:
    assert read(write(FILE + ROUTES.replace("file_type: no", 'file_type: "{meta.kind}"'))).routes[0].wants_companion


def test_aliases_are_read_and_a_mistake_in_one_is_told_where_it_is_used(write: Write) -> None:
    text = """
routes:
  - {name: a, inbox: /in/a, provider: arm, client_id: "1", file_type: X, match: &m ["*.csv"], ignore: &i [a/b]}
  - {name: b, inbox: /in/b, provider: arm, client_id: "1", file_type: X, match: *m}
"""
    assert problems(write(FILE + text)) == [
        'dropd.yaml:5: routes[a].ignore[0]: a pattern is held against the name alone, and no name has a "/"; write it like "*.csv"'
    ]
    fixed = text.replace("a/b", "a b")
    assert [route.match for route in read(write(FILE + fixed)).routes] == [("*.csv",), ("*.csv",)]
    used = fixed.replace("ignore: &i [a b]", "ignore: &i [a b], settle: &s 2s").replace("match: *m", "match: *m, max_size: *s")
    assert problems(write(FILE + used)) == [
        "dropd.yaml:6: routes[b].max_size: '2s' is not a size; write a number with B, KB, MB or GB, like 25MB"
    ]


@pytest.mark.parametrize(
    ("host", "fine"),
    [
        *((host, True) for host in ("localhost", "127.0.0.1:8080", "127.9.9.9", "[::1]:80")),
        *((host, False) for host in ("127.0.0.1.example.com", "localhost.example", "[::2]", "0.0.0.0", "127.1")),
    ],
)
def test_plain_http_is_for_loopback_hosts_alone(write: Write, host: str, fine: bool) -> None:
    path = write(FILE.replace("https://a.example/v1", f"http://{host}/v1") + ROUTES)
    if fine:
        assert read(path).routes
    else:
        assert "plain http would show the login" in problems(path)[0]


def test_an_account_s_token_address_may_be_made_of_its_base(write: Write) -> None:
    account = """\
providers:
  arm: {type: receeve, base_url: "https://r.example", auth: {client_id: a, client_secret: {env: A}, token_url: "{base_url}/token"}}
"""
    assert read(write(account + ROUTES.replace("file_type: no", "account_id: x"))).routes


# ------------------------------------------------------------------------------------------------ files and secrets


def test_secrets_and_certificates_that_are_not_there_are_mistakes_too_beside_all_others(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setenv("EMPTY", " ")
    more = """\
  b: {type: receeve, base_url: "https://r.example", auth: {client_id: a, client_secret: {env: EMPTY}}, setle: 1s}
  c: {type: 24sevenoffice, auth: {token: {credential: office}}}
"""
    path = write(FILE + more + ROUTES)
    there = "put the secret there, readable for dropd's user alone"
    path_or, set_it = (
        "correct the path, or make it readable for dropd's user",
        "set it for the service, for example with EnvironmentFile=",
    )
    keys = "concurrency, rate, timeout, retry, max_size, proxy, tls, type, base_url, auth"
    said = [
        f"2: providers.arm.tls.ca: the file {tmp_path}/ca.pem cannot be read (No such file or directory); {path_or}",
        f"2: providers.arm.auth.token: the file {tmp_path}/secrets/arm cannot be read (No such file or directory); {there}",
        f"3: providers.b.setle: unknown key; remove it, known here: {keys}",
        f"3: providers.b.auth.client_secret: the environment variable EMPTY is not set; {set_it}",
        "4: providers.c.auth.token: the credential office is not there; add LoadCredential=office:PATH to the unit",
    ]
    assert problems(path, secrets=True) == [f"dropd.yaml:{one}" for one in said]
    assert len(problems(path)) == 1


def test_secrets_that_are_there_are_no_mistake(write: Write, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    write("hunter2\n", "secrets/arm")
    write("", "ca.pem")
    options: Any = read(write(FILE + ROUTES), secrets=True).providers["arm"].options
    assert options.auth.token.reveal() == "hunter2"
    assert "hunter2" not in repr(options)


def test_a_file_that_cannot_be_read_is_one_clear_problem(write: Write, tmp_path: Path) -> None:
    assert problems(tmp_path / "no.yaml") == ["no.yaml: the file: does not exist; write it, or name another with --config FILE"]
    (tmp_path / "folder").mkdir()
    assert problems(tmp_path / "folder") == [
        "folder: the file: cannot be read (Is a directory); make it a file that dropd's user may read"
    ]
    assert problems(write(b"a: 1\nb: \xf8\n")) == [
        "dropd.yaml:2: the file: a byte stands here that is not UTF-8; save the file as UTF-8 text"
    ]
    assert problems(write(b"#" * (4 * 1024 * 1024 + 1))) == [
        "dropd.yaml: the file: is larger than 4 MiB; name dropd's configuration with --config FILE"
    ]


def test_a_byte_order_mark_and_windows_line_ends_are_fine(write: Write) -> None:
    assert read(write(b"\xef\xbb\xbf" + (FILE + ROUTES).replace("\n", "\r\n").encode())).routes[0].line == 5


def test_a_missing_inbox_is_no_mistake(write: Write) -> None:
    assert read(write(FILE + ROUTES.replace("in/a", "/nowhere/at/all"))).routes


MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:40 / /srv/share rw - cifs //nas/share rw
41 22 0:41 / /srv/my\040nfs rw shared:3 master:2 - nfs4 nas:/x rw
42 22 0:42 / /srv/share/local rw - xfs /dev/sdb rw
43 22 0:43 / /home/u/sshfs rw - fuse.sshfs host: rw
44 22 0:44 / /box rw - fuse.fuse-overlayfs fuse-overlayfs rw
45 22 8:2 / /usb rw - fuseblk /dev/sdc1 rw
not a line
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib/dropd", None),
        ("/srv/share", "cifs"),
        ("/srv/share/a/b", "cifs"),
        ("/srv/shared", None),
        ("/srv/my nfs/x", "nfs4"),
        ("/srv/share/local/x", None),
        ("/home/u/sshfs", "fuse.sshfs"),
        ("/box", None),
        ("/usb", None),
    ],
)
def test_the_state_folder_is_not_on_a_network_filesystem(
    write: Write, monkeypatch: pytest.MonkeyPatch, folder: str, kind: str | None
) -> None:
    monkeypatch.setattr(mounts, "MOUNTINFO", write(MOUNTS, "mountinfo"))
    path = write(f"state_dir: {folder}\n" + FILE + ROUTES)
    if kind is None:
        assert read(path).state_dir == Path(folder)
    else:
        what = f"this folder is on a network filesystem ({kind}), where a ledger can be damaged; choose one on a local disk"
        assert problems(path) == [f"dropd.yaml:1: state_dir: {what}"]


def test_a_kernel_that_does_not_tell_its_mounts_is_no_mistake(
    write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mounts, "MOUNTINFO", tmp_path / "none")
    assert read(write(FILE + ROUTES)).routes


def test_hundreds_of_routes_are_read_in_a_blink_even_with_one_archive(write: Write) -> None:
    rows = "".join(
        f"  - {{name: r{n}, inbox: /in/{n}, provider: arm, client_id: '1', file_type: X, failed: '/bad/{n}/{{yyyy}}'}}\n"
        for n in range(300)
    )
    config = read(write(FILE + "defaults: {done: /archive}\nroutes:\n" + rows))
    assert len(config.routes) == 300


# ------------------------------------------------------------------------------------------------ every pydantic error


@pytest.mark.parametrize("kind", get_args(ErrorType))
def test_no_error_of_pydantic_reaches_a_person_in_its_own_words(kind: str) -> None:
    context = {"error": ValueError("what; remedy"), "expected": "'a' or 'b'", "expected_tags": "'a', 'b'", "ge": 1}
    details: Any = {"type": kind, "loc": ("poll", "x"), "msg": "Input should be hunter2", "input": ["hunter2"], "ctx": context}
    what, remedy = explain(details, ("poll", "x"), ("a", "b"))
    assert what
    assert remedy
    assert "hunter2" not in what + remedy
    assert "should" not in what + remedy


# ------------------------------------------------------------------------------------------------ the example


def uncommented(text: str) -> str:
    """A line that begins with # right before a key shows a default."""
    return re.sub(r"(?m)^( *)#([a-z_]+:)", r"\1\2", text)


def test_the_example_is_a_good_file(write: Write) -> None:
    config = read(write(example()))
    assert {account.type for account in config.providers.values()} == set(kinds())
    assert [route.name for route in config.routes] == ["acme-invoices", "case-originals", "debtor-letters", "vouchers"]


def test_what_the_example_shows_as_a_default_is_the_default(write: Write) -> None:
    shown, spelled_out = read(write(example())), read(write(uncommented(example())))
    assert uncommented(example()).count("\n") == example().count("\n")
    assert spelled_out == shown
    assert uncommented(example()) != example()


def every_key(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for kind in alternatives(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from every_key(kind)


def test_the_example_shows_every_key() -> None:
    known = {"state_dir", "language", "log", "providers", "defaults", "routes", *every_key(RoutePart), *every_key(LogPart)}
    for kind in kinds().values():
        known |= set(every_key(kind.Options))
    missing = {key for key in known if not re.search(rf"(?m)(^|[ {{#]){key}:", example())}
    assert missing == set()


def test_the_example_stands_in_the_wheel_or_else_in_the_checkout() -> None:
    assert example() == (Path(__file__).parents[2] / "config.example.yaml").read_text()
    assert all(len(line) <= 130 for line in example().splitlines())


# ------------------------------------------------------------------------------------------------ the schema


def fits(value: Any, part: dict[str, Any], whole: dict[str, Any]) -> list[str]:
    """A small judge of the keywords that the schema uses."""
    if "$ref" in part:
        return fits(value, whole["$defs"][part["$ref"].rpartition("/")[2]], whole)
    wrong: list[str] = []
    if "anyOf" in part and all(fits(value, option, whole) for option in part["anyOf"]):
        wrong.append(f"{value!r} fits no alternative")
    if "const" in part and value != part["const"]:
        wrong.append(f"{value!r} is not {part['const']!r}")
    if "enum" in part and value not in part["enum"]:
        wrong.append(f"{value!r} is not in {part['enum']!r}")
    types = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    allowed = [part["type"]] if isinstance(part.get("type"), str) else part.get("type", [])
    if allowed and not isinstance(value, tuple(types[name] for name in allowed)):
        wrong.append(f"{value!r} is not {allowed}")
    if isinstance(value, str) and "pattern" in part and not re.search(part["pattern"], value):
        wrong.append(f"{value!r} does not fit {part['pattern']}")
    for item in value if isinstance(value, list) else ():
        wrong += fits(item, part.get("items", {}), whole)
    if isinstance(value, dict):
        wrong += [f"{key} is missing" for key in part.get("required", ()) if key not in value]
        for key, item in value.items():
            inner = part.get("properties", {}).get(key, part.get("additionalProperties", {}))
            wrong += [f"{key} is unknown"] if inner is False else fits(item, inner, whole)
    for rule in part.get("allOf", ()):
        if not fits(value, rule["if"], whole):
            wrong += fits(value, rule["then"], whole)
    return wrong


def test_the_schema_accepts_what_dropd_accepts_and_knows_the_same_keys() -> None:
    whole = schema(kinds())
    assert json.loads(json.dumps(whole)) == whole
    assert whole["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    good = yaml.safe_load(uncommented(example()))
    assert fits(good, whole, whole) == []
    for breakage in (
        {"routs": []},
        {"language": "no"},
        {"routes": [{**good["routes"][0], "on_duplicate": "skip"}]},
        {"routes": [{**good["routes"][0], "settle": 2}]},
        {"providers": {"arm": {**good["providers"]["arm"], "type": "ftp"}}},
        {"providers": {"arm": {**good["providers"]["arm"], "poll": {}}}},
        {"providers": {"arm": {"type": "amili-arm"}}},
    ):
        assert fits({**good, **breakage}, whole, whole), breakage


def test_the_schema_shows_defaults_as_they_are_written() -> None:
    text = json.dumps(schema(kinds()))
    assert '"default": {"first": "5s", "max": "15m", "give_up_after": "24h"}' in text
    assert '"default": ["10/s", "100/min"]' in text
    assert '"null"' not in text
    assert as_written([0.2, Rate(1, 3600.0), Timeout()]) == ["200ms", "1/h", {"connect": "10s", "write": "60s", "read": "120s"}]
