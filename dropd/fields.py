"""The kinds of value a configuration holds: durations, sizes, rates, secrets. Shared by config and the providers' options.

Every message reads `what is wrong; what to write instead`: config puts file, line and place before it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema, model_validator

from dropd.errors import SecretMissing

_UNITS_OF_TIME = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNITS_OF_SIZE = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_LONGEST = 366 * 86400.0  # longer waits overflow the operating system's clocks
_PERIODS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def parse_duration(value: Any) -> float:
    """Seconds from `200ms`, `2s`, `1h30m`, `24h`, `0s`."""
    text = str(value).strip()
    parts = re.findall(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration; write a number with ms, s, m, h or d, like 2s or 1h30m")
    seconds = float(sum(float(number) * _UNITS_OF_TIME[unit] for number, unit in parts))
    if seconds > _LONGEST:
        raise ValueError(f"{text!r} is longer than a year; write a shorter time, like 24h")
    return seconds


def parse_size(value: Any) -> int:
    """Bytes from `25MB`, `512KiB`, `100B`."""
    text = str(value).strip()
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([kKmMgG]?[iI]?[bB])", text)
    if not found or found[2].upper() not in _UNITS_OF_SIZE:
        raise ValueError(f"{text!r} is not a size; write a number with B, KB, MB or GB, like 25MB")
    size = int(float(found[1]) * _UNITS_OF_SIZE[found[2].upper()])
    if size < 1:
        raise ValueError(f"{text!r} would let no file pass; write a size above zero, like 25MB")
    return size


def parse_boolean(value: Any) -> bool:
    """YAML's own two words alone: with BaseLoader everything is text, and `NO` should not mean Norway."""
    if isinstance(value, bool):
        return value
    text = str(value)
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false; write true or false")
    return text == "true"


def parse_whole_number(value: Any) -> int:
    """A whole number of at least 1."""
    text = str(value).strip()
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) < 1:
        raise ValueError(f"{text!r} is not a whole number above zero; write a number like 4")
    return int(text)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` requests in any `period` seconds."""

    count: int
    period: float


def parse_rate(value: Any) -> Rate:
    """`10/s`, `100/min`, `1000/h`."""
    if isinstance(value, Rate):
        return value
    found = re.fullmatch(r"([0-9]{1,6})/(s|min|h)", str(value).strip())
    if not found or int(found[1]) < 1:
        raise ValueError(f"{str(value)!r} is not a rate; write requests per s, min or h, like 10/s or 100/min")
    return Rate(int(found[1]), _PERIODS[found[2]])


def _text(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


Duration = Annotated[float, BeforeValidator(parse_duration), _text(r"^(\d+(\.\d+)?(ms|s|m|h|d))+$", "2s", "1h30m")]
Size = Annotated[int, BeforeValidator(parse_size), _text(r"^\d+(\.\d+)?\s*[kKmMgG]?[iI]?[bB]$", "25MB")]
Boolean = Annotated[bool, BeforeValidator(parse_boolean), WithJsonSchema({"type": "boolean"})]
WholeNumber = Annotated[int, BeforeValidator(parse_whole_number), WithJsonSchema({"type": "integer", "minimum": 1})]
RateLimit = Annotated[Rate, BeforeValidator(parse_rate), _text(r"^\d+/(s|min|h)$", "10/s", "100/min")]


class Strict(BaseModel):
    """The base of every part of the configuration: unknown keys are refused, values are frozen, ids stay text."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Secret(Strict):
    """Where a secret is to be found; never the secret itself. `{env: NAME}`, `{file: PATH}` or `{credential: NAME}`."""

    env: str | None = None
    file: Path | None = None
    credential: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _not_literal(cls, value: Any) -> Any:
        if not isinstance(value, (dict, Secret)):
            # the value is deliberately not repeated: it is a secret
            raise ValueError("a secret stands in the file itself; write {env: NAME}, {file: PATH} or {credential: NAME}")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(place is not None for place in (self.env, self.file, self.credential)) != 1:
            raise ValueError("a secret needs exactly one place; write {env: NAME}, {file: PATH} or {credential: NAME}")
        # a name that cannot be one is not repeated either: it could be the secret itself
        if self.env is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.env):
            raise ValueError("this cannot be the name of an environment variable; write {env: NAME} like {env: ARM_SECRET}")
        if self.credential is not None and not re.fullmatch(r"(?!\.)[A-Za-z0-9._@-]+", self.credential):
            raise ValueError("this cannot be the name of a credential; write {credential: NAME} like {credential: arm-secret}")
        return self

    def __str__(self) -> str:
        if self.env is not None:
            return f"environment variable {self.env}"
        return f"file {self.file}" if self.file is not None else f"credential {self.credential}"

    def reveal(self) -> str:
        """The secret, without the white space around it. Raises SecretMissing, naming the place and the remedy."""
        if self.env is not None:
            value = os.environ.get(self.env, "")
            if not value.strip():
                raise SecretMissing(
                    f"the environment variable {self.env} is not set; set it for the service, for example with EnvironmentFile="
                )
            return value.strip()
        path = self.file
        if path is None:
            folder = os.environ.get("CREDENTIALS_DIRECTORY")
            if not folder:
                raise SecretMissing(
                    f"the credential {self.credential} is not there; add LoadCredential={self.credential}:PATH to the unit"
                )
            path = Path(folder) / str(self.credential)
        try:
            value = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a text"
            raise SecretMissing(
                f"the file {path} cannot be read ({why}); put the secret there, readable for dropd's user alone"
            ) from None
        if not value.strip():
            raise SecretMissing(f"the file {path} is empty; put the secret there")
        return value.strip()


class Timeout(Strict):
    """How long to wait for a connection, for room to write, and for an answer."""

    connect: Duration = 10.0
    write: Duration = 60.0
    read: Duration = 120.0


class Retry(Strict):
    """When a drop that was surely not delivered is tried again, and when that ends."""

    first: Duration = 5.0
    max: Duration = 900.0
    give_up_after: Duration = 86400.0


class Tls(Strict):
    """`ca`: a file of certificates to trust instead of the usual ones."""

    ca: Path | None = None


class ProviderOptions(Strict):
    """The keys that every provider takes; each adapter adds `type`, `base_url`, `auth` and its own."""

    concurrency: WholeNumber = 4
    rate: list[RateLimit] = []
    timeout: Timeout = Timeout()
    retry: Retry = Retry()
    max_size: Size | None = None
    proxy: str | None = None
    tls: Tls = Tls()
