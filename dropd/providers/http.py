"""One account's connections: a call gives an Answer, or says how far it came without one. Never follows a redirect.

httpx's transport is used directly: it keeps no cookies, takes nothing from the environment, logs no URL (a presigned one is a
secret, and httpx.Client logs each at INFO), and costs half the CPU of the client around it.
"""

from __future__ import annotations

import functools
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import tenacity

from dropd import __version__
from dropd.fields import ProviderOptions
from dropd.providers.answers import Phase
from dropd.providers.bodies import Body, Content

ANSWER_MAX = 64 * 1024  # bytes; a longer answer counts as unreadable
POOL_WAIT = 300.0  # seconds for a free connection: senders are as many as connections, so that only a renewal ever waits
KEEP_ALIVE = 4.0  # seconds; many servers close after 5, and a request that meets their close leaves doubt
WARY = 600.0  # seconds after a connection broke, during which each call gets a connection of its own
TRIES = 3
TRY_WITHIN = 10.0  # seconds; when the first try took longer, the ledger's clock goes on

_MANNERS = {"User-Agent": f"dropd/{__version__}", "Accept": "application/json, */*;q=0.5", "Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` holds at most the first 64 KiB, `complete` whether that was all; `whole` whether the request's body had left whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool
    whole: bool

    @property
    def readable(self) -> bytes | None:
        """The body, or None where its end is not there. Of an error the beginning is good enough."""
        return self.body if self.complete or self.status >= 300 else None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    phase: Phase
    why: str


Sent = Answer | NoAnswer


@functools.lru_cache(maxsize=16)
def _trust(ca: str | None) -> ssl.SSLContext:
    """Costs 50 ms to make: one for all accounts that trust the same."""
    if ca is None:
        return httpx.create_ssl_context(trust_env=False)
    return ssl.create_default_context(cafile=ca)


_parsed = functools.lru_cache(maxsize=256)(httpx.URL)


class _Verbatim(httpx.URL):
    """An address whose path and query leave as they are. httpcore's own `target` extension would show them to a proxy in CONNECT."""

    def __init__(self, origin: str, target: str) -> None:
        super().__init__(origin)
        self._target = target.encode("ascii")

    @property
    def raw_path(self) -> bytes:
        return self._target


class Http:
    """A pool of connections. Thread-safe."""

    def __init__(self, options: ProviderOptions, *, stop: threading.Event) -> None:
        connections = options.concurrency + 1  # one for a renewal or a question beside the senders
        self._transport = httpx.HTTPTransport(
            verify=_trust(str(options.tls.ca) if options.tls.ca else None),
            trust_env=False,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=KEEP_ALIVE),
            proxy=options.proxy,
        )
        timeout = options.timeout
        self._timeout = {"connect": timeout.connect, "write": timeout.write, "read": timeout.read, "pool": POOL_WAIT}
        self._stop = stop
        self._wary_until = 0.0

    def call(self, method: str, url: str, headers: Mapping[str, str], body: Body | None = None) -> Sent:
        """One request. What the body raises (BodyChanged and the like) passes through: nothing whole was sent then."""
        # a vendor that closes unannounced meets the next call on that connection: doubt, once, and not for every twentieth file
        alone = {"Connection": "close"} if time.monotonic() < self._wary_until else {}
        return self._send(method, _parsed(url), {**_MANNERS, **headers, **alone}, body or Content())

    def call_presigned(self, method: str, url: str, body: Body) -> Sent:
        """Likewise, with path and query byte for byte as in `url`, and no header that could be missing in what was signed."""
        parts = urlsplit(url)
        target = url.split("#", 1)[0][len(parts.scheme) + 3 + len(parts.netloc) :]
        target = target if target.startswith("/") else "/" + target
        return self._send(method, _Verbatim(f"{parts.scheme}://{parts.netloc}/", target), {}, body)

    def call_patiently(self, call: Callable[[], Sent]) -> Sent:
        """A call that is safe to repeat, a few times within seconds. 429 and 503 are left to the ledger's longer clock."""
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(TRIES)
            | tenacity.stop_after_delay(TRY_WITHIN)
            | tenacity.stop_when_event_set(self._stop),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=2.0),
            retry=tenacity.retry_if_result(_passing),
            sleep=tenacity.sleep_using_event(self._stop),
            retry_error_callback=_last_result,
            reraise=True,
        )
        return retrying(call)

    def close(self) -> None:
        self._transport.close()

    def _send(self, method: str, url: httpx.URL, headers: Mapping[str, str], body: Body) -> Sent:
        fields = [("Host", url.netloc.decode("ascii")), *headers.items()]
        if body.content_type:
            fields.append(("Content-Type", body.content_type))
        if method not in ("GET", "HEAD") or body.length:
            fields.append(("Content-Length", str(body.length)))  # exact, so that httpx never falls back to chunks
        body.whole = False
        request = httpx.Request(method, url, headers=fields, stream=body, extensions={"timeout": self._timeout})
        request.url = url  # Request makes a plain copy of it
        try:
            response = self._transport.handle_request(request)
        except (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.PoolTimeout,
            httpx.ProxyError,
            httpx.UnsupportedProtocol,
        ) as error:
            return NoAnswer(Phase.CONNECT, _why(error))
        except httpx.TransportError as error:
            if not isinstance(error, httpx.TimeoutException):
                self._wary_until = time.monotonic() + WARY
            return NoAnswer(Phase.WHOLE if body.whole else Phase.CUT, _why(error))
        data, complete = _read(response, self._timeout["read"])
        return Answer(response.status_code, response.headers, data, complete, body.whole)


def _read(response: httpx.Response, seconds: float) -> tuple[bytes, bool]:
    """At most ANSWER_MAX bytes within a bounded time, and whether that was the whole answer."""
    until = time.monotonic() + seconds
    stream = response.stream
    assert isinstance(stream, httpx.SyncByteStream)
    data = bytearray()
    try:
        for piece in stream:
            data += piece
            if len(data) > ANSWER_MAX or time.monotonic() > until:
                return _decoded(response, bytes(data[:ANSWER_MAX]))[0], False
    except httpx.TransportError:
        return bytes(data), False
    finally:
        stream.close()
    return _decoded(response, bytes(data))


def _decoded(response: httpx.Response, data: bytes) -> tuple[bytes, bool]:
    """Undoes a compression that nobody asked for, within the same bound."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding in ("identity", ""):
        return data, True
    if coding not in ("gzip", "x-gzip"):
        return b"", False
    unzip = zlib.decompressobj(wbits=31)
    try:
        return unzip.decompress(data, ANSWER_MAX), unzip.eof
    except zlib.error:
        return b"", False


def _passing(sent: Sent) -> bool:
    """Trouble that may be over in a second."""
    return isinstance(sent, NoAnswer) or sent.status in (408, 500, 502, 504)


def _last_result(state: tenacity.RetryCallState) -> Sent:
    assert state.outcome is not None
    result: Sent = state.outcome.result()
    return result


_NAMED = (
    (httpx.ConnectTimeout, "no connection in time"),
    (httpx.PoolTimeout, "every connection was busy"),
    (httpx.WriteTimeout, "the vendor stopped reading"),
    (httpx.ReadTimeout, "no answer in time"),
)


def _why(error: httpx.TransportError) -> str:
    for kind, words in _NAMED:
        if isinstance(error, kind):
            return words
    text = str(error)
    if text.startswith("[Errno"):
        text = text.partition("] ")[2]
    return text or "the connection broke"
