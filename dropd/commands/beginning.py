"""`dropd init` and `dropd check`: from nothing to a configuration that works."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path

from dropd import lock
from dropd.config import Config
from dropd.daemon import LEDGER, build_account
from dropd.errors import DropdError, InboxTrouble
from dropd.ledger.sql import SqlLedger
from dropd.model import Inbox, Misconfigured
from dropd.observe.logs import Redactor
from dropd.providers.base import Provider
from dropd.spool.mark import open_inbox

STARTER = """\
# dropd's configuration. Paths are relative to this file. Every key, with its default: config.example.yaml
# Check it with:   dropd check --login      Run it with:   dropd run

state_dir: state                  # dropd's memory: never delete it while files are on their way

providers:                        # accounts at vendors, by names of your own
  arm:
    type: amili-arm               # others: amili-media, receeve, 24sevenoffice
    base_url: https://arm.example.no/v1          # the address that the vendor gave you
    user_id: dropd
    auth:
      token_url: https://auth.example.no/token
      client_id: acme
      client_secret: {file: secrets/arm}         # a secret never stands here: {file: …}, {env: …} or {credential: …}

routes:                           # which folder goes where
  - name: invoices
    inbox: inbox/invoices         # drop files here; they move to done/ or failed/ in it, with a result file
    provider: arm
    client_id: "2218"
    file_type: InvoiciaFormatDocFile
    match: ["*.csv"]
"""


class CannotInit(DropdError):
    """What stands in the way."""


def write_starter(path: Path) -> bool:
    """The starter configuration, where there is no file yet. Whether it was written. Raises CannotInit."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(STARTER)
        secrets = path.parent / "secrets"
        secrets.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        return False
    except OSError as error:
        raise CannotInit(f"{path} cannot be written ({error.strerror}); name another place with --config FILE") from None
    return True


def make_inboxes(config: Config) -> list[Path]:
    """The inboxes that were missing, made. `run` never makes one: a missing inbox may be a share that is not mounted. Raises CannotInit."""
    made = []
    for route in config.routes:
        try:
            if not route.inbox.is_dir():
                route.inbox.mkdir(parents=True, mode=0o770)
                made.append(route.inbox)
        except OSError as error:
            raise CannotInit(f"the inbox {route.inbox} cannot be made ({error.strerror})") from None
    return made


def adopt(config: Config, route_name: str) -> str:
    """A person's word that this is the right folder: it gets a new mark that this ledger knows. The mark. Raises CannotInit.

    A running daemon hears of it through the ledger.
    """
    route = next((route for route in config.routes if route.name == route_name), None)
    if route is None:
        raise CannotInit(f"no route is named {route_name!r}; there are: {', '.join(route.name for route in config.routes)}")
    lock.make_state_dir(config.state_dir)
    ledger = SqlLedger(config.state_dir / LEDGER)
    try:
        with open_inbox(str(route.inbox), route=route.name, ledger_id=ledger.ledger_id, known_id=None, adopt=True) as inbox:
            ledger.look(Inbox(route.name, str(route.inbox), inbox.inbox_id, None, time.time(), None))
            return inbox.inbox_id
    except InboxTrouble as error:
        raise CannotInit(f"{route.inbox}: {error}") from None
    finally:
        ledger.close()


def logins(config: Config, kinds: Mapping[str, type[Provider]], redactor: Redactor) -> list[tuple[str, str, str | None]]:
    """Log in at every account, changing nothing there: (name, how it went, reason). `ok`, `refused` or `unreachable`."""
    outcomes: list[tuple[str, str, str | None]] = []
    for name, account in config.providers.items():
        built = build_account(
            name, account.type, account.options, kinds, lambda secret: redactor.learn(secret.reveal()), threading.Event()
        )
        try:
            outcome = built.provider.login()
        finally:
            built.provider.close()
        if outcome is None:
            outcomes.append((name, "ok", None))
        else:
            outcomes.append((name, "refused" if isinstance(outcome, Misconfigured) else "unreachable", outcome.reason))
    return outcomes
