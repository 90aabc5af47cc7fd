"""What follows from a sandbox's address alone: the vendors' base addresses, and a configuration that uses them."""

from __future__ import annotations

import json
import os
import re
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dropd.model import AMILI_ARM, AMILI_MEDIA, OFFICE, RECEEVE
from dropd.sandbox.tokens import API_CODE, CREDENTIALS, private_key_pem

CLIENT = "5d0c2d3e-0000-4000-8000-000000000000"  # a receeve clientId: any UUID but zeros is one here
INBOXES = ("acme-invoices", "case-originals", "debtor-letters", "vouchers")


class Address(ABC):
    """The base of what stands for a sandbox, in this process or another."""

    @property
    @abstractmethod
    def url(self) -> str:
        """http://127.0.0.1:PORT"""

    @property
    def base_urls(self) -> Mapping[str, str]:
        """By provider type, as the key `base_url` wants them."""
        paths = {AMILI_ARM: "/arm/v1", AMILI_MEDIA: "/media", RECEEVE: "/receeve", OFFICE: "/office/v1"}
        return {vendor: self.url + path for vendor, path in paths.items()}

    def provider_blocks(self, secrets: Path) -> dict[str, dict[str, Any]]:
        """The `providers:` of a configuration: the accounts arm, cases, debtors and office. Their secrets are written into the folder."""
        base = self.base_urls
        return {
            "arm": {
                "type": AMILI_ARM,
                "base_url": base[AMILI_ARM],
                "user_id": "dropd",
                "auth": {"token_url": f"{self.url}/arm/token", **_client(secrets, AMILI_ARM, "arm-secret")},
            },
            "cases": {
                "type": AMILI_MEDIA,
                "base_url": base[AMILI_MEDIA],
                "auth": {
                    "api_code": API_CODE,
                    "private_key": _secret(secrets, "amili.pem", private_key_pem()),
                    "algorithm": "ES256",
                },
            },
            "debtors": {
                "type": RECEEVE,
                "base_url": base[RECEEVE],
                "auth": _client(secrets, RECEEVE, "receeve-secret"),
            },
            "office": {
                "type": OFFICE,
                "base_url": base[OFFICE],
                "auth": {
                    **_client(secrets, OFFICE, "office-secret"),
                    "organization": "777",
                    "token_url": f"{self.url}/office/oauth/token",
                },
                "poll": {"first": "200ms", "max": "2s", "give_up_after": "1m"},
            },
        }

    def config_yaml(self, root: Path) -> str:
        """A whole configuration that delivers to this sandbox, everything of it under `root`. Writes the secrets, makes no inbox."""
        root = Path(os.path.abspath(root))
        blocks = self.provider_blocks(root / "secrets")
        providers = yaml.safe_dump(blocks, sort_keys=False, allow_unicode=True, default_flow_style=False, width=10_000)
        places = {"STATE": json.dumps(str(root / "state")), "CLIENT": CLIENT, "PROVIDERS": textwrap.indent(providers, "  ")}
        places |= {name: json.dumps(str(root / name)) for name in INBOXES}
        return re.sub(r"@([A-Za-z-]+)@", lambda found: places[found[1]], _CONFIG)

    def write_config(self, root: Path) -> Path:
        """`root`/config.yaml with its secrets and inboxes, ready for `dropd -c`."""
        for name in INBOXES:
            (root / name).mkdir(parents=True, exist_ok=True)
        path = root / "config.yaml"
        path.write_text(self.config_yaml(root), encoding="utf-8")
        return path


def _client(secrets: Path, vendor: str, name: str) -> dict[str, Any]:
    known = CREDENTIALS[vendor]
    return {"client_id": known.client_id, "client_secret": _secret(secrets, name, known.client_secret)}


def _secret(folder: Path, name: str, text: str) -> dict[str, str]:
    """Write one secret for its owner's eyes alone, and say where it is."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        os.fchmod(fd, 0o600)
        file.write(text)
    return {"file": os.path.abspath(path)}


_CONFIG = """\
# Delivers to the sandbox: four vendors that live in one local process. Nothing leaves this computer.
state_dir: @STATE@

providers:
@PROVIDERS@
# A short settle, because nobody waits gladly for a demonstration.
defaults: {settle: 1s}

routes:
  # CSV invoices for one client of Amili ARM. Client 0 is unknown there, and only known file types are enabled.
  - name: acme-invoices
    inbox: @acme-invoices@
    provider: arm
    client_id: "2218"
    file_type: InvoiciaFormatDocFile
    match: ["*.csv"]

  # The case id stands at the start of the file's name: 6867da7788b9226bb78d716c-invoice.pdf
  - name: case-originals
    inbox: @case-originals@
    provider: cases
    name_pattern: '(?P<case>[0-9a-f]{24})[-_ ].*'
    reference_id: "{case}"
    domain: cases
    dotted_path: original_invoice

  # One folder per account: debtor-letters/acc-1/letter.pdf. A folder whose name begins with "unknown" is refused by the vendor.
  - name: debtor-letters
    inbox: @debtor-letters@
    provider: debtors
    subfolders: true
    client_id: @CLIENT@
    account_id: "{folder}"
    file_type: Document
    extra_fields: {externalClaimRef: "{stem}"}

  # Announced, uploaded to a presigned address, and confirmed a moment later.
  - name: vouchers
    inbox: @vouchers@
    provider: office
    file_type: application/pdf
"""
