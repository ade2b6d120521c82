"""Toxiproxy: what lies between two processes, and how it is spoilt.

A toxic works on one direction; here each is put on both.
"""

import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dev_cluster import tools
from held_ports import free_port

_READY_S = 60.0
_STREAMS = ("upstream", "downstream")


class Toxiproxy:
    """One server; a proxy for each link."""

    def __init__(self) -> None:
        self._port = free_port()
        self._process = subprocess.Popen(
            [tools.toxiproxy(), "-host", "127.0.0.1", "-port", str(self._port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._until_ready()

    def _until_ready(self) -> None:
        deadline = time.monotonic() + _READY_S
        while True:
            try:
                return self.ask("GET", "/proxies")
            except OSError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    def link(self, name: str, upstream: str) -> "Link":
        listen = f"127.0.0.1:{free_port()}"
        self.ask("POST", "/proxies", name=name, listen=listen, upstream=upstream, enabled=True)
        return Link(self, name, listen)

    def ask(self, method: str, path: str, **body: Any) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path, json.dumps(body))
            answer = connection.getresponse()
            said = answer.read().decode()
            assert answer.status < 300, f"{method} {path}: {answer.status} {said}"
        finally:
            connection.close()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class Link:
    """`address` leads to the far end as long as nothing is wrong with the link."""

    def __init__(self, proxy: Toxiproxy, name: str, address: str) -> None:
        self._proxy, self._name, self.address = proxy, name, address

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @contextmanager
    def spoilt(self, kind: str, **attributes: int) -> Iterator[None]:
        path = f"/proxies/{self._name}/toxics"
        for stream in _STREAMS:
            self._proxy.ask(
                "POST", path, name=f"{kind}-{stream}", type=kind, stream=stream,
                attributes=attributes,
            )  # fmt: skip
        try:
            yield
        finally:
            for stream in _STREAMS:
                self._proxy.ask("DELETE", f"{path}/{kind}-{stream}")

    def cut(self) -> None:
        """Every connection ends; new ones are taken at once."""
        for enabled in (False, True):
            self._proxy.ask("POST", f"/proxies/{self._name}", enabled=enabled)
