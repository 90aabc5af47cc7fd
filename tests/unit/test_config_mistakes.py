"""Every mistake that a configuration can have, with its line and the very text that a person gets. A table: read it as one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from dropd.config import load
from dropd.errors import ConfigError
from dropd.providers.registry import kinds

NOTHING = ""
ACCOUNTS = """\
providers:
  arm: {type: amili-arm, base_url: "https://a.example/v1", user_id: dropd, auth: {token: {env: T}}}
  cases: {type: amili-media, base_url: "https://m.example", auth: {token: {env: T}}}
  debtors: {type: receeve, base_url: "https://r.example", auth: {token: {env: T}}}
  office: {type: 24sevenoffice, auth: {token: {env: T}}}
"""
ROUTES = """\
routes:
- {name: a, inbox: /in/a, provider: arm, client_id: "1", file_type: X}
"""
TABLE = ACCOUNTS + "routes:\n"  # what follows is a row, from line 7 on
ROUTE = ACCOUNTS + ROUTES  # a good file; what follows stands from line 8 on
ACCOUNT = ROUTES + "".join(ACCOUNTS.splitlines(keepends=True)[:2])  # what follows is an account, from line 5 on


class Mistake(NamedTuple):
    name: str
    before: str
    text: str
    said: list[str]  # without the file's name


MISTAKES = [
    Mistake(
        "an empty file",
        NOTHING,
        "",
        [
            "1: the file: is empty; start from config.example.yaml",
        ],
    ),
    Mistake(
        "a file of comments alone",
        NOTHING,
        "# nothing\n",
        [
            "1: the file: is empty; start from config.example.yaml",
        ],
    ),
    Mistake(
        "a list at the top",
        NOTHING,
        "- a\n",
        [
            "1: the file: is not made of keys and values; write it as in config.example.yaml",
        ],
    ),
    Mistake(
        "a text at the top",
        NOTHING,
        "hello\n",
        [
            "1: the file: is not made of keys and values; write it as in config.example.yaml",
        ],
    ),
    Mistake(
        "a tab",
        NOTHING,
        "log:\n\tlevel: info\n",
        [
            "2: the file: a tab stands here; indent with spaces",
        ],
    ),
    Mistake(
        "an open bracket",
        NOTHING,
        """\
routes: [a
log: b
""",
        [
            "1: the file: a { or [ that opens here is not closed, or a comma is missing in it; write it as {key: value, key: value} or [one, two]",
        ],
    ),
    Mistake(
        "a colon too many",
        NOTHING,
        "state_dir: a: b\n",
        [
            '1: the file: a colon stands where no key can be; check the indentation, or put the value in quotes, like "a: b"',
        ],
    ),
    Mistake(
        "an open quote",
        NOTHING,
        'state_dir: "/var\n',
        [
            "1: the file: a quoted text that begins here does not end, or has an unknown escape; close the quotes; in '…' a \\ needs no escape",
        ],
    ),
    Mistake(
        "an alias from nowhere, which could be a secret",
        NOTHING,
        "token: *hunter2\n",
        [
            "1: the file: an alias (*) stands here that was not defined before; put the value in quotes if the * belongs to it",
        ],
    ),
    Mistake(
        "a character that starts nothing",
        NOTHING,
        "token: @hunter2\n",
        [
            '1: the file: a character stands here that cannot start a value; put the value in quotes, like "@acme"',
        ],
    ),
    Mistake(
        "a wrong indentation",
        NOTHING,
        """\
log:
  level: info
 format: json
""",
        [
            "3: the file: a line is not indented like its neighbours; indent keys that belong together equally, with spaces",
        ],
    ),
    Mistake(
        "a line without a colon",
        NOTHING,
        """\
state_dir: /x
log
language: en
""",
        [
            "3: the file: a key has no colon after it; write it as key: value",
        ],
    ),
    Mistake(
        "two documents",
        NOTHING,
        """\
a: 1
---
b: 2
""",
        [
            "3: the file: a second document starts here; keep one document in the file, without `---` between its parts",
        ],
    ),
    Mistake(
        "an impossible character",
        NOTHING,
        'state_dir: "\\UFFFFFFFF"\n',
        [
            "1: the file: a \\U escape names a character that does not exist; write the character itself",
        ],
    ),
    Mistake(
        "a control character",
        NOTHING,
        "state_dir: a\x07b\n",
        [
            "1: the file: a character stands here that YAML does not allow; remove it",
        ],
    ),
    Mistake(
        "half a character",
        ROUTE,
        'state_dir: "\\ud800"\n',
        [
            "8: state_dir: the value has a character that no text can hold; remove the escape, or write the character itself",
        ],
    ),
    Mistake(
        "a tag",
        ROUTE,
        "state_dir: !hunter2 /x\n",
        [
            "8: state_dir: a tag (!) stands before the value; leave it out, or put the value in quotes if the ! belongs to it",
        ],
    ),
    Mistake(
        "a merge",
        ROUTE,
        "log: {<<: {level: info}}\n",
        [
            "8: log.<<: keys cannot be merged in with <<; write them out, or put them under defaults",
        ],
    ),
    Mistake(
        "a key that is a list",
        ROUTE,
        "log: {[level]: info}\n",
        [
            "8: log: a key is a list or a block; write plain keys, as in config.example.yaml",
        ],
    ),
    Mistake(
        "aliases that grow",
        ROUTE,
        "log: &a [*a, *a]\n",
        [
            "8: log[0]: this grows too large, by aliases (*) within aliases or too deep blocks; write it out",
        ],
    ),
    Mistake(
        "nothing at all but an unknown key",
        NOTHING,
        "provider: x\n",
        [
            "1: provider: unknown key; write providers",
            "1: routes: is missing; add routes: [{name: …, inbox: …, provider: …}]",
        ],
    ),
    Mistake(
        "duplicate keys, at any depth",
        ROUTE,
        """\
log:
  level: info
  level: debug
log: {}
""",
        [
            "10: log.level: the key stands here a second time, first in line 9; keep one of the two",
            "11: log: the key stands here a second time, first in line 8; keep one of the two",
        ],
    ),
    Mistake(
        "values that were left empty",
        ROUTE,
        """\
state_dir:
language: ~
log: {level: null, format: ""}
""",
        [
            "8: state_dir: nothing stands here; write a value, or leave the key out",
            "9: language: nothing stands here; write a value, or leave the key out",
            "10: log.level: nothing stands here; write a value, or leave the key out",
            "10: log.format: nothing stands here; write a value, or leave the key out",
        ],
    ),
    Mistake(
        "an unknown key at the top",
        ROUTE,
        """\
state_dri: /x
x: y
""",
        [
            "8: state_dri: unknown key; write state_dir",
            "9: x: unknown key; remove it, known here: state_dir, language, log, providers, defaults, routes",
        ],
    ),
    Mistake(
        "wrong words",
        ROUTE,
        """\
language: no
log: {format: pretty, level: warn}
""",
        [
            "8: language: 'no' is not known here; write en",
            "9: log.format: 'pretty' is not known here; write auto, console or json",
            "9: log.level: 'warn' is not known here; write warning",
        ],
    ),
    Mistake(
        "a text where keys belong",
        ROUTE,
        """\
log: debug
defaults: 2s
""",
        [
            "8: log: a single text stands where a block of keys is expected; write log: {format: auto, level: info}",
            "9: defaults: a single text stands where a block of keys is expected; write defaults: {settle: 2s}",
        ],
    ),
    Mistake(
        "a home folder",
        ROUTE,
        "state_dir: ~/dropd\n",
        [
            "8: state_dir: ~ does not stand for a home folder here; write the whole path, like /var/lib/dropd",
        ],
    ),
    Mistake(
        "no provider and no route",
        NOTHING,
        """\
providers: {}
routes: []
""",
        [
            "1: providers: no provider stands here; add providers: {arm: {type: amili-arm, …}}",
            "2: routes: no route stands here; add routes: [{name: …, inbox: …, provider: …}]",
        ],
    ),
    Mistake(
        "containers of the wrong kind",
        NOTHING,
        """\
providers: text
routes: {a: b}
""",
        [
            "1: providers: a single text stands where a block of keys is expected; write providers: {arm: {type: amili-arm, …}}",
            "2: routes: a block of keys stands where a list is expected; write routes: [{name: …, inbox: …, provider: …}]",
        ],
    ),
    Mistake(
        "an unknown provider type",
        ACCOUNT,
        """\
  b: {type: amili-amr}
  c: {type: ftp}
  d: {}
  e: {type: [x]}
  f: text
""",
        [
            "5: providers.b.type: unknown provider type 'amili-amr'; write amili-arm",
            "6: providers.c.type: unknown provider type 'ftp'; write 24sevenoffice, amili-arm, amili-media or receeve",
            "7: providers.d.type: is missing; add type: with one of 24sevenoffice, amili-arm, amili-media or receeve",
            "8: providers.e.type: this is not the name of a provider type; write 24sevenoffice, amili-arm, amili-media or receeve",
            "9: providers.f: a single text stands where an account's keys are expected; write f: {type: amili-arm, …}",
        ],
    ),
    Mistake(
        "a provider's name",
        ACCOUNT,
        "  'd d': {type: receeve, base_url: \"https://x.example\", auth: {token: {env: T}}}\n",
        [
            "5: providers.d d: 'd d' cannot be a name; use letters, digits, dot, dash and underscore, starting with a letter or digit, at most 64",
        ],
    ),
    Mistake(
        "missing keys of an account",
        ACCOUNT,
        "  b: {type: amili-arm}\n",
        [
            "5: providers.b.base_url: is missing; add base_url: https://api.example.com",
            "5: providers.b.user_id: is missing; add user_id: dropd",
            "5: providers.b.auth: is missing; add auth: {client_id: acme, client_secret: {credential: NAME}}",
        ],
    ),
    Mistake(
        "a misspelt key is not missing too",
        ACCOUNT,
        '  b: {type: amili-arm, base_ulr: "https://x.example", userid: x, auth: {token: {env: T}}}\n',
        [
            "5: providers.b.base_ulr: unknown key; write base_url",
            "5: providers.b.userid: unknown key; write user_id",
        ],
    ),
    Mistake(
        "a literal secret",
        ACCOUNT,
        """\
  b:
    type: receeve
    base_url: https://x.example
    auth:
      client_id: a
      client_secret: hunter2
""",
        [
            "10: providers.b.auth.client_secret: a secret stands in the file itself; write {env: NAME}, {file: PATH} or {credential: NAME}",
        ],
    ),
    Mistake(
        "a literal token and key",
        ACCOUNT,
        """\
  b: {type: receeve, base_url: "https://x.example", auth: {token: "hunter2"}}
  c: {type: amili-media, base_url: "https://x.example", auth: {api_code: a, private_key: [hunter2]}}
""",
        [
            "5: providers.b.auth.token: a secret stands in the file itself; write {env: NAME}, {file: PATH} or {credential: NAME}",
            "6: providers.c.auth.private_key: a secret stands in the file itself; write {env: NAME}, {file: PATH} or {credential: NAME}",
        ],
    ),
    Mistake(
        "a secret in braces alone",
        ACCOUNT,
        '  b: {type: receeve, base_url: "https://x.example", auth: {token: {hunter2}}}\n',
        [
            "5: providers.b.auth.token: the place of a secret cannot be read; write {env: NAME}, {file: PATH} or {credential: NAME}",
        ],
    ),
    Mistake(
        "a secret after a colon without a space",
        ACCOUNT,
        '  b: {type: receeve, base_url: "https://x.example", auth: {client_id: a, client_secret:hunter2}}\n',
        [
            "5: providers.b.auth.client_secret: a colon has no space after it; write it as key: value",
        ],
    ),
    Mistake(
        "a secret where its place should be",
        ACCOUNT,
        """\
  b: {type: receeve, base_url: "https://x.example", auth: {token: {env: "hunter2!"}}}
  c: {type: receeve, base_url: "https://x.example", auth: {token: {credential: ../hunter2}}}
  d: {type: receeve, base_url: "https://x.example", auth: {token: {vault: hunter2}}}
""",
        [
            "5: providers.b.auth.token: this cannot be the name of an environment variable; write {env: NAME} like {env: ARM_SECRET}",
            "6: providers.c.auth.token: this cannot be the name of a credential; write {credential: NAME} like {credential: arm-secret}",
            "7: providers.d.auth.token: the place of a secret cannot be read; write {env: NAME}, {file: PATH} or {credential: NAME}",
        ],
    ),
    Mistake(
        "a secret with two places",
        ACCOUNT,
        '  b: {type: receeve, base_url: "https://x.example", auth: {token: {env: A, file: /b}}}\n',
        [
            "5: providers.b.auth.token: a secret needs exactly one place; write {env: NAME}, {file: PATH} or {credential: NAME}",
        ],
    ),
    Mistake(
        "a secret as the whole of auth",
        ACCOUNT,
        '  b: {type: receeve, base_url: "https://x.example", auth: hunter2}\n',
        [
            "5: providers.b.auth: a single text stands where a block of keys is expected; write auth: {client_id: acme, client_secret: {credential: NAME}}",
        ],
    ),
    Mistake(
        "half a login",
        ACCOUNT,
        """\
  b: {type: receeve, base_url: "https://x.example", auth: {client_id: a}}
  c: {type: receeve, base_url: "https://x.example", auth: {}}
""",
        [
            "5: providers.b.auth: auth lacks client_secret; write client_id and client_secret, or token alone",
            "6: providers.c.auth: auth is empty; write client_id and client_secret, or token alone",
        ],
    ),
    Mistake(
        "plain http to another machine",
        ACCOUNT,
        '  b: {type: receeve, base_url: "http://x.example/v1", auth: {client_id: a, client_secret: {env: A}, token_url: "http://10.0.0.1/t"}}\n',
        [
            "5: providers.b.base_url: plain http would show the login to everybody on the way to 'x.example'; write https://x.example/v1",
            "5: providers.b.auth.token_url: plain http would show the login to everybody on the way to '10.0.0.1'; write https://10.0.0.1/t",
        ],
    ),
    Mistake(
        "addresses that are none",
        ACCOUNT,
        """\
  b: {type: receeve, base_url: x.example, auth: {token: {env: T}}}
  c: {type: receeve, base_url: "ftp://x.example", auth: {token: {env: T}}}
  d: {type: receeve, base_url: "https://[x", auth: {token: {env: T}}}
  e: {type: receeve, base_url: "https://x:0", auth: {token: {env: T}}}
""",
        [
            "5: providers.b.base_url: this is not a web address; write https://HOST/PATH",
            "6: providers.c.base_url: this is not a web address; write https://HOST/PATH",
            "7: providers.d.base_url: this is not a web address; write https://HOST/PATH",
            "8: providers.e.base_url: this is not a web address; write https://HOST/PATH",
        ],
    ),
    Mistake(
        "an address with a login, a query or a fragment",
        ACCOUNT,
        """\
  b: {type: receeve, base_url: "https://u:hunter2@x.example", auth: {token: {env: T}}}
  c: {type: receeve, base_url: "https://x.example?k=hunter2", auth: {token: {env: T}}}
  d: {type: receeve, base_url: "https://x.example/#hunter2", auth: {token: {env: T}}}
""",
        [
            "5: providers.b.base_url: a user name or password stands in the address; write https://HOST/PATH without it, a login belongs under auth",
            "6: providers.c.base_url: the address has a ? or # part, which cannot be appended to; write it up to the path alone, like https://HOST/PATH",
            "7: providers.d.base_url: the address has a ? or # part, which cannot be appended to; write it up to the path alone, like https://HOST/PATH",
        ],
    ),
    Mistake(
        "a proxy with a login",
        ACCOUNT,
        """\
  b: {type: receeve, base_url: "https://x.example", auth: {token: {env: T}}, proxy: "http://u:hunter2@p:3128"}
  c: {type: receeve, base_url: "https://x.example", auth: {token: {env: T}}, proxy: "socks5://u:hunter2@p"}
""",
        [
            "5: providers.b.proxy: a user name or password stands in the file itself; write http://HOST:PORT, and let the proxy know this machine by its address",
            "6: providers.c.proxy: this is not the address of a proxy; write http://HOST:PORT",
        ],
    ),
    Mistake(
        "an account's numbers",
        ACCOUNT,
        '  b: {type: receeve, base_url: "https://x.example", auth: {token: {env: T}}, concurrency: 0, rate: [10/d], max_size: 25, retry: {first: soon, max: 2y}}\n',
        [
            "5: providers.b.concurrency: '0' is not a whole number above zero; write a number like 4",
            "5: providers.b.rate[0]: '10/d' is not a rate; write requests per s, min or h, like 10/s or 100/min",
            "5: providers.b.retry.first: 'soon' is not a duration; write a number with ms, s, m, h or d, like 2s or 1h30m",
            "5: providers.b.retry.max: '2y' is not a duration; write a number with ms, s, m, h or d, like 2s or 1h30m",
            "5: providers.b.max_size: '25' is not a size; write a number with B, KB, MB or GB, like 25MB",
        ],
    ),
    Mistake(
        "an account's blocks",
        ACCOUNT,
        '  b: {type: receeve, base_url: "https://x.example", auth: {token: {env: T}}, rate: 10/s, timeout: 30s, tls: /ca.pem}\n',
        [
            "5: providers.b.rate: a single text stands where a list is expected; write rate: [10/s, 100/min]",
            "5: providers.b.timeout: a single text stands where a block of keys is expected; write timeout: {connect: 10s, write: 60s, read: 120s}",
            "5: providers.b.tls: a single text stands where a block of keys is expected; write tls: {ca: /etc/ssl/certs/company.pem}",
        ],
    ),
    Mistake(
        "no time at all for a call",
        ACCOUNT,
        '  b: {type: receeve, base_url: "https://x.example", auth: {token: {env: T}}, timeout: {connect: 0s, reed: 1s}}\n',
        [
            "5: providers.b.timeout.reed: unknown key; write read",
            "5: providers.b.timeout.connect: '0s' would let no call through; write a time above zero, like 30s",
        ],
    ),
    Mistake(
        "a key of another provider",
        ACCOUNT,
        '  b: {type: receeve, base_url: "https://x.example", auth: {token: {env: T}}, user_id: x}\n',
        [
            "5: providers.b.user_id: unknown key; remove it, known here: concurrency, rate, timeout, retry, max_size, proxy, tls, type, base_url, auth",
        ],
    ),
    Mistake(
        "a word the vendor does not know",
        ACCOUNT,
        """\
  b: {type: receeve, base_url: "https://x.example", auth: {token: {env: T}, scheme: Basic}}
  c: {type: amili-media, base_url: "https://x.example", auth: {api_code: a, private_key: {env: K}, algorithm: ES265}}
""",
        [
            "5: providers.b.auth.scheme: 'Basic' is not known here; write Bearer or none",
            "6: providers.c.auth.algorithm: 'ES265' is not known here; write ES256",
        ],
    ),
    Mistake(
        "an empty route",
        TABLE,
        "- {}\n",
        [
            "7: routes[0].name: is missing; add name: acme-invoices",
            "7: routes[0].inbox: is missing; add inbox: /srv/drop/acme",
            "7: routes[0].provider: is missing; add provider: arm",
        ],
    ),
    Mistake(
        "routes that are no blocks",
        TABLE,
        """\
- text
-
""",
        [
            "7: routes[0]: a single text stands where a block of keys is expected; write routes: [{name: …, inbox: …, provider: …}]",
            "8: routes[1]: nothing stands here; write a value, or leave the dash out",
        ],
    ),
    Mistake(
        "an undefined provider",
        TABLE,
        """\
- {name: b, inbox: /in/b, provider: amr, client_id: x, file_type: X}
- {name: c, inbox: /in/c, provider: zzz, client_id: x, file_type: X}
""",
        [
            "7: routes[b].provider: 'amr' is not defined under providers; write arm",
            "8: routes[c].provider: 'zzz' is not defined under providers; write arm, cases, debtors or office, or define it under providers",
        ],
    ),
    Mistake(
        "two routes of one name",
        ROUTE,
        "- {name: a, inbox: /in/b, provider: arm, client_id: x, file_type: X}\n",
        [
            "8: routes[a].name: 'a' is already the name of the route in line 7; give each route a name of its own",
        ],
    ),
    Mistake(
        "a route's name",
        TABLE,
        "- {name: a b, inbox: /in/b, provider: arm, client_id: x, file_type: X}\n",
        [
            "7: routes[a b].name: 'a b' cannot be a name; use letters, digits, dot, dash and underscore, starting with a letter or digit, at most 64",
        ],
    ),
    Mistake(
        "unknown keys of a route",
        ROUTE,
        "- {name: b, inbox: /in/b, provider: arm, clientid: x, file_type: X, setle: 2s}\n",
        [
            "8: routes[b].clientid: unknown key; write client_id",
            "8: routes[b].setle: unknown key; write settle",
        ],
    ),
    Mistake(
        "keys that mean nothing yet",
        TABLE,
        "- {name: b, inbox: /in/b, provider: arm, client_id: x, file_type: X, on_duplicate: skip}\n",
        [
            "7: routes[b].on_duplicate: unknown key; remove it, known here: provider, file_type, client_id, account_id, reference_id, domain, dotted_path, extra_fields, allow, match, ignore, name_pattern, subfolders, done, failed, settle, scan_every, max_size, allow_empty, name, inbox",
        ],
    ),
    Mistake(
        "a route's values",
        TABLE,
        """\
- name: b
  inbox: ~/in
  provider: arm
  client_id: x
  file_type: X
  settle: 2
  scan_every: 0s
  max_size: 0MB
  allow_empty: yes
  subfolders: all
  match: "*.csv"
  ignore: [a/b]
  name_pattern: "(a"
""",
        [
            "8: routes[b].inbox: ~ does not stand for a home folder here; write the whole path, like /srv/drop/acme",
            "12: routes[b].settle: '2' is not a duration; write a number with ms, s, m, h or d, like 2s or 1h30m",
            "13: routes[b].scan_every: '0s' would look without ever resting; write a time above zero, like 30s",
            "14: routes[b].max_size: '0MB' would let no file pass; write a size above zero, like 25MB",
            "15: routes[b].allow_empty: 'yes' is neither true nor false; write true or false",
            "16: routes[b].subfolders: this is none of the three ways to look below an inbox; write false, true or deep",
            '17: routes[b].match: a single text stands where a list is expected; write match: ["*.csv"]',
            '18: routes[b].ignore[0]: a pattern is held against the name alone, and no name has a "/"; write it like "*.csv"',
            "19: routes[b].name_pattern: this is not a regular expression (missing ), unterminated subpattern at character 1); correct it, a literal . ( or [ needs a \\ before it",
        ],
    ),
    Mistake(
        "a list for an id",
        TABLE,
        "- {name: b, inbox: [/in/b], provider: arm, client_id: [x, y], file_type: X, match: []}\n",
        [
            '7: routes[b].client_id: a list stands where a single text is expected; write client_id: "2218"',
            '7: routes[b].match: no pattern stands here, so no file would ever fit; write ["*"] or leave the key out',
            "7: routes[b].inbox: a list stands where a single text is expected; write inbox: /srv/drop/acme",
        ],
    ),
    Mistake(
        "ids that the provider needs",
        TABLE,
        """\
- {name: b, inbox: /in/b, provider: arm}
- {name: c, inbox: /in/c, provider: cases}
- {name: d, inbox: /in/d, provider: debtors}
""",
        [
            '7: routes[b].client_id: is missing, provider arm (Amili ARM) needs it; add client_id: "2218"',
            "7: routes[b].file_type: is missing, provider arm (Amili ARM) needs it; add file_type: InvoiciaFormatDocFile",
            '8: routes[c].reference_id: is missing, provider cases (Amili media upload) needs it; add reference_id: "{stem}"',
            '9: routes[d].client_id: is missing, provider debtors (receeve) needs it; add client_id: "2218"',
            '9: routes[d].account_id: is missing, provider debtors (receeve) needs it; add account_id: "{folder}"',
        ],
    ),
    Mistake(
        "ids that the provider does not know",
        TABLE,
        """\
- {name: b, inbox: /in/b, provider: debtors, client_id: x, account_id: y, domain: z}
- {name: c, inbox: /in/c, provider: office, extra_fields: {a: b}}
""",
        [
            "7: routes[b].domain: provider debtors (receeve) does not know this key; remove it, it knows client_id, account_id, file_type, extra_fields",
            "8: routes[c].extra_fields: provider office (24SevenOffice) does not know this key; remove it, it knows file_type",
        ],
    ),
    Mistake(
        "a file type that the vendor does not know",
        TABLE,
        """\
- {name: b, inbox: /in/b, provider: debtors, client_id: x, account_id: y, file_type: invoices}
- {name: c, inbox: /in/c, provider: office, file_type: pdf}
""",
        [
            "7: routes[b].file_type: provider debtors (receeve) does not take the file type 'invoices'; write Invoice",
            "8: routes[c].file_type: 'pdf' is not a content type; write one like application/pdf",
        ],
    ),
    Mistake(
        "unknown placeholders",
        TABLE,
        '- {name: b, inbox: /in/b, provider: cases, reference_id: "{stm}{case}{x}", name_pattern: "(?P<cases>.*)"}\n',
        [
            "7: routes[b].reference_id: unknown placeholder {stm}; write {stem}",
            "7: routes[b].reference_id: unknown placeholder {case}; write {cases}",
            "7: routes[b].reference_id: unknown placeholder {x}; write one of {name}, {stem}, {ext}, {folder}, {path}, {cases} or {meta.KEY}",
        ],
    ),
    Mistake(
        "a template's braces",
        TABLE,
        '- {name: b, inbox: /in/b, provider: cases, reference_id: "{stem", domain: "{}"}\n',
        [
            "7: routes[b].reference_id: '{stem' has a single brace; write {{ or }} for a brace that is meant as one",
            "7: routes[b].domain: '{}' has a placeholder that is not a plain name; write one like {stem} or {meta.case}",
        ],
    ),
    Mistake(
        "a placeholder that is always empty",
        TABLE,
        """\
- {name: b, inbox: /in/b, provider: cases, reference_id: "{folder}"}
- {name: c, inbox: /in/c, provider: cases, subfolders: true, reference_id: "{folder}-{path}"}
""",
        [
            "7: routes[b].reference_id: {folder} is always empty without sub-folders; add subfolders: true",
            "8: routes[c].reference_id: {path} is always empty without deeper levels; write subfolders: deep",
        ],
    ),
    Mistake(
        "a group that hides a placeholder",
        TABLE,
        '- {name: b, inbox: /in/b, provider: cases, reference_id: "{stem}", name_pattern: "(?P<stem>.*)"}\n',
        [
            "7: routes[b].name_pattern: the group 'stem' would hide dropd's own {stem}; give it another name, like (?P<my_stem>…)",
        ],
    ),
    Mistake(
        "a client that anybody can choose",
        TABLE,
        '- {name: b, inbox: /in/b, provider: arm, client_id: "{stem}", file_type: X}\n',
        [
            '7: routes[b].client_id: whoever drops a file chooses this value, and nothing limits it; add allow: {client_id: "22[0-9]{2}"} with the clients that are allowed',
        ],
    ),
    Mistake(
        "allow for what is not there",
        TABLE,
        '- {name: b, inbox: /in/b, provider: arm, client_id: "1", file_type: X, allow: {client: x, domain: y, file_type: "["}}\n',
        [
            "7: routes[b].allow.file_type: this is not a regular expression (unterminated character set at character 1); correct it, a literal . ( or [ needs a \\ before it",
            "7: routes[b].allow.client: unknown id; write client_id",
            "7: routes[b].allow.domain: provider arm (Amili ARM) does not know this id; remove it",
        ],
    ),
    Mistake(
        "allow of the wrong kind",
        TABLE,
        '- {name: b, inbox: /in/b, provider: arm, client_id: "1", file_type: X, allow: {client_id: {a: b}, file_type: []}}\n',
        [
            '7: routes[b].allow.client_id: neither a regular expression nor a list of texts stands here; write "22[0-9]{2}" or ["2218", "2219"]',
            '7: routes[b].allow.file_type: neither a regular expression nor a list of texts stands here; write "22[0-9]{2}" or ["2218", "2219"]',
        ],
    ),
    Mistake(
        "a fixed id that allow refuses",
        TABLE,
        '- {name: b, inbox: /in/b, provider: arm, client_id: "2218", file_type: X, allow: {client_id: ["2219"]}}\n',
        [
            "7: routes[b].client_id: '2218' is not among the values under allow; correct one of the two",
        ],
    ),
    Mistake(
        "an id that would change the address",
        TABLE,
        '- {name: b, inbox: /in/b, provider: arm, client_id: "..", file_type: "a\\nb"}\n',
        [
            "7: routes[b].client_id: '..' would change the address that is called; write the id itself, like client_id: \"2218\"",
            "7: routes[b].file_type: the value has a line break or another control character; write it on one line, as a plain text",
        ],
    ),
    Mistake(
        "a field of the adapter's own",
        TABLE,
        '- {name: b, inbox: /in/b, provider: debtors, client_id: x, account_id: y, extra_fields: {accountId: z, file: z, ref: "{stme}"}}\n',
        [
            "7: routes[b].extra_fields.accountId: accountId is a field that dropd fills itself; remove it, the route's own keys fill it",
            "7: routes[b].extra_fields.file: file is a field that dropd fills itself; remove it, the route's own keys fill it",
            "7: routes[b].extra_fields.ref: unknown placeholder {stme}; write {stem}",
        ],
    ),
    Mistake(
        "the same inbox twice",
        ROUTE,
        "- {name: b, inbox: /in/../in/a/, provider: arm, client_id: x, file_type: X}\n",
        [
            "8: routes[b].inbox: route a, line 7, has the same inbox; give each route an inbox of its own",
        ],
    ),
    Mistake(
        "an inbox within another that looks there",
        TABLE,
        """\
- {name: a, inbox: /in, subfolders: true, provider: arm, client_id: x, file_type: X}
- {name: b, inbox: /in/b, provider: arm, client_id: x, file_type: X}
- {name: c, inbox: /in/x/c, provider: arm, client_id: x, file_type: X}
""",
        [
            "8: routes[b].inbox: route a, line 7, already looks into this folder; choose inboxes that do not lie in each other",
        ],
    ),
    Mistake(
        "an inbox within another's done",
        ROUTE,
        "- {name: b, inbox: /in/a/done/b, provider: arm, client_id: x, file_type: X}\n",
        [
            "8: routes[b].inbox: this inbox lies in the done folder of route a, line 7; choose an inbox outside of it, or another done",
        ],
    ),
    Mistake(
        "an inbox within another's dated done",
        TABLE,
        """\
- {name: a, inbox: /in/a, done: "/out/{yyyy}", provider: arm, client_id: x, file_type: X}
- {name: b, inbox: /out/2026/b, provider: arm, client_id: x, file_type: X}
- {name: c, inbox: /out/c, provider: arm, client_id: x, file_type: X}
""",
        [
            "8: routes[b].inbox: this inbox lies in the done folder of route a, line 7; choose an inbox outside of it, or another done",
        ],
    ),
    Mistake(
        "a folder within dropd's own",
        ROUTE,
        "- {name: b, inbox: /in/b, done: /in/a/.dropd/done, provider: arm, client_id: x, file_type: X}\n",
        [
            "8: routes[b].done: this lies in .dropd, dropd's own folder in an inbox (route a, line 7); choose another folder",
        ],
    ),
    Mistake(
        "filing where another route looks",
        ROUTE,
        """\
- {name: b, inbox: /in/b, done: /in/a, provider: arm, client_id: x, file_type: X}
- {name: c, inbox: /in/c, subfolders: deep, failed: /in/b/x, provider: arm, client_id: x, file_type: X}
- {name: d, inbox: /in/d, done: /in/c/x/y, provider: arm, client_id: x, file_type: X}
""",
        [
            "8: routes[b].done: route a, line 7, would take the files from here again; choose a folder where no route looks",
            "10: routes[d].done: route c, line 9, would take the files from here again; choose a folder where no route looks",
        ],
    ),
    Mistake(
        "filing into the inbox itself",
        TABLE,
        "- {name: b, inbox: /in/b, done: /in/b, provider: arm, client_id: x, file_type: X}\n",
        [
            "7: routes[b].done: this is the inbox itself, done files would be taken again; choose another folder",
        ],
    ),
    Mistake(
        "done and failed in one folder",
        TABLE,
        "- {name: b, inbox: /in/b, done: /out, failed: /out/, provider: arm, client_id: x, file_type: X}\n",
        [
            "7: routes[b].failed: done and failed are the same folder, delivered and failed files would mix; choose two folders",
        ],
    ),
    Mistake(
        "one route's done is another's failed",
        ROUTE,
        "- {name: b, inbox: /in/b, done: /in/a/failed, provider: arm, client_id: x, file_type: X}\n",
        [
            "8: routes[b].done: this is also the failed folder of route a, line 7: the same folder, delivered and failed files would mix; choose two folders",
        ],
    ),
    Mistake(
        "dates among folders of drops",
        TABLE,
        '- {name: b, inbox: /in/b, subfolders: true, done: "/in/b/{yyyy}", provider: arm, client_id: x, file_type: X}\n',
        [
            "7: routes[b].done: with subfolders this cannot be told from a folder of drops; begin with a fixed folder, like done/{yyyy}",
        ],
    ),
    Mistake(
        "placeholders of done",
        TABLE,
        '- {name: b, inbox: /in/b, done: "/out/{yyy}", failed: "/bad/{stem}", provider: arm, client_id: x, file_type: X}\n',
        [
            "7: routes[b].done: unknown placeholder {yyy}; write {yyyy}",
            "7: routes[b].failed: unknown placeholder {stem}; only {yyyy} {mm} {dd} can stand here",
        ],
    ),
    Mistake(
        "the state where a route looks",
        ROUTE,
        "state_dir: /in/a\n",
        [
            "8: state_dir: this folder is also the inbox of route a, line 7; choose a folder of its own for each",
        ],
    ),
    Mistake(
        "defaults that are wrong are said once",
        ROUTE,
        """\
- {name: b, inbox: /in/b, provider: office}
- {name: c, inbox: /in/c, provider: office}
defaults:
  settle: 2
  name: x
  inbox: /x
  setle: 2s
  domain: "{folder}"
""",
        [
            "11: defaults.settle: '2' is not a duration; write a number with ms, s, m, h or d, like 2s or 1h30m",
            "12: defaults.name: this cannot be the same for every route; move it to the routes",
            "13: defaults.inbox: this cannot be the same for every route; move it to the routes",
            "14: defaults.setle: unknown key; write settle",
            "15: defaults.domain: provider arm (Amili ARM) does not know this key for route a; move it to the routes that need it, it knows client_id, file_type",
        ],
    ),
    Mistake(
        "a default that one route cannot use",
        TABLE,
        """\
- {name: b, inbox: /in/b, reference_id: x, subfolders: true}
- {name: c, inbox: /in/c, reference_id: x}
defaults: {provider: cases, dotted_path: "{folder}"}
""",
        [
            "9: defaults.dotted_path: {folder} is always empty without sub-folders for route c; add subfolders: true",
        ],
    ),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.name for mistake in MISTAKES])
def test_a_mistake_is_told_with_its_line_and_what_to_write_instead(mistake: Mistake, tmp_path: Path) -> None:
    file = tmp_path / "dropd.yaml"
    file.write_text(mistake.before + mistake.text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(ConfigError) as raised:
        load(file, kinds(), secrets=False)
    assert [str(problem).removeprefix(f"{file}:") for problem in raised.value.problems] == mistake.said
    assert str(raised.value) == "\n".join(f"{file}:{said}" for said in mistake.said)
    assert "hunter2" not in str(raised.value)


def test_a_misplaced_inbox_is_told_once_and_not_again_for_the_folders_in_it(tmp_path: Path) -> None:
    file = tmp_path / "dropd.yaml"
    file.write_text(
        TABLE
        + "- {name: a, inbox: /in, subfolders: deep, provider: arm, client_id: x, file_type: X}\n"
        + "- {name: b, inbox: /in/b, provider: arm, client_id: x, file_type: X}\n"
    )
    with pytest.raises(ConfigError) as raised:
        load(file, kinds(), secrets=False)
    assert [problem.where for problem in raised.value.problems] == ["routes[b].inbox"]


def test_the_table_stands_on_files_without_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "dropd.yaml"
    for good in (ROUTE, ACCOUNT):
        file.write_text(good)
        assert [route.name for route in load(file, kinds(), secrets=False).routes] == ["a"]
