"""How fast and in how much memory a large file streams: python tests/bench/stream.py [MiB]

Each way is measured in a fresh process, against a sink in another one that throws everything away, beside what a bare httpx script
reaches for the same bytes in the same run. Compare ratios, not absolute figures.
"""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

MIB = 1024 * 1024
WAYS = {"multipart": "receeve", "base64": "amili-arm", "presigned": "24sevenoffice"}
GROWTH_MAX = 64.0  # MiB


# ------------------------------------------------------------------------------------------------ the sink


def _sink(listener: socket.socket) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_discard, args=(connection, url), daemon=True).start()


def _discard(connection: socket.socket, url: str) -> None:
    buffer = bytearray(MIB)
    with connection:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = connection.recv(65536)
                if not more:
                    return
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            lines = head.decode().lower().split("\r\n")
            left = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0) - len(data)
            data = b""
            while left > 0:
                left -= connection.recv_into(buffer, min(left, MIB))
            body = json.dumps(_answer(head.split(b" ")[1].decode(), url)).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def _answer(path: str, url: str) -> Any:
    if path.endswith("/token"):
        return {"access_token": "abcdef", "expires_in": 3600}
    if path.endswith("/files"):
        return {"files": [{"fileId": "drop", "status": "PROCESSED", "result": "CREATED"}]}
    if path.endswith("/upload_files"):
        return {"r": {"success": True}}
    return {"uploadMethod": "PUT", "uploadUrl": f"{url}/store?a=b", "fileId": 1}


@contextmanager
def sink() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = multiprocessing.get_context("fork").Process(target=_sink, args=(listener,), daemon=True)
        process.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.terminate()
            process.join()


# ------------------------------------------------------------------------------------------------ one way, in a process of its own


def _memory(key: str) -> int:
    """KiB of /proc/self/status: VmRSS now, VmHWM at its highest."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.partition(f"{key}:")[2].split()[0])


def _child(way: str, who: str, url: str, path: str) -> None:
    size = os.path.getsize(path)
    send = _dropd(WAYS[way], url) if who == "dropd" else _bare(way, url)
    with tempfile.NamedTemporaryFile() as small:
        small.write(b"x" * 1000)
        small.flush()
        send(small.name, 1000)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM starts anew
    before = _memory("VmRSS")
    started = time.perf_counter()
    send(path, size)
    seconds = time.perf_counter() - started
    print(json.dumps({"mb_per_s": size / seconds / 1e6, "growth_mib": (_memory("VmHWM") - before) / 1024}))


def _dropd(kind: str, url: str) -> Any:
    from dropd.model import Accepted, Pending, Target
    from dropd.providers.base import Parcel
    from dropd.providers.registry import kinds

    auth: dict[str, Any] = {"token": {"env": "HOME"}}
    keys: dict[str, Any] = {"type": kind, "base_url": url, "auth": auth} | ({"user_id": "u"} if kind == "amili-arm" else {})
    options = kinds()[kind].Options.model_validate(keys)
    provider = kinds()[kind]("bench", options, clock=time.time, secrets=lambda _: "abcdef", stop=threading.Event())
    target = Target() if kind == "24sevenoffice" else Target(client_id="1", account_id="2", file_type="CSV")

    class Notes:
        def get(self, key: str) -> None:
            del key

        def save(self, **notes: str) -> None:
            del notes

    def send(path: str, size: int) -> None:
        parcel = Parcel("drop", "a.csv", size, "text/csv", target, partial(open, path, "rb"))
        outcome = provider.send(parcel, Notes())
        assert isinstance(outcome, (Accepted, Pending)), outcome

    return send


def _bare(way: str, url: str) -> Any:
    """What a script would do: httpx's own multipart, its own streaming of an open file, a generator for base64."""
    import httpx

    client = httpx.Client(timeout=60, trust_env=False)

    def encoded(path: str) -> Iterator[bytes]:
        with open(path, "rb") as file:
            while block := file.read(48 * 1024):
                yield base64.b64encode(block)

    def send(path: str, size: int) -> None:
        if way == "base64":
            headers = {"Content-Length": str(4 * ((size + 2) // 3))}
            client.post(f"{url}/files", content=encoded(path), headers=headers).raise_for_status()
            return
        with open(path, "rb") as file:
            if way == "multipart":
                fields = {"accountId": "2"}
                client.post(f"{url}/upload_files", data=fields, files={"file": ("a.csv", file, "text/csv")}).raise_for_status()
            else:
                client.put(f"{url}/store", content=file, headers={"Content-Type": "text/csv"}).raise_for_status()

    return send


def measure(way: str, who: str, url: str, path: str) -> dict[str, float]:
    """`mb_per_s` and `growth_mib` of one upload; `who` is dropd or bare."""
    command = [sys.executable, os.path.abspath(__file__), "--child", way, who, url, path]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    found: dict[str, float] = json.loads(done.stdout)
    return found


@contextmanager
def sparse(size: int) -> Iterator[str]:
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(size)
        yield file.name


def main(mib: int) -> int:
    worst = 0.0
    with sink() as url, sparse(mib * MIB) as path:
        print(f"{mib} MiB, medians of three")
        for way in WAYS:
            runs: dict[str, list[dict[str, float]]] = {"dropd": [], "bare": []}
            for _ in range(3):
                for who, found in runs.items():
                    found.append(measure(way, who, url, path))
            speed = {who: sorted(run["mb_per_s"] for run in found)[1] for who, found in runs.items()}
            growth = max(run["growth_mib"] for run in runs["dropd"])
            worst = max(worst, growth)
            print(
                f"{way:10} {speed['dropd']:7.0f} MB/s, bare httpx {speed['bare']:7.0f} MB/s, "
                f"ratio {speed['dropd'] / speed['bare']:.2f}, growth {growth:.1f} MiB"
            )
    return 0 if worst < GROWTH_MAX else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(*sys.argv[2:6])
    else:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1024))
