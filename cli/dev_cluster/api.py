"""The few requests that this package makes of an API server itself; standard library only."""

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

TIMEOUT_S = 15.0


class ApiError(Exception):
    """The answer was no."""

    def __init__(self, status: int, answer: str) -> None:
        super().__init__(f"{status}: {answer[:300]}")
        self.status = status


class Api:
    """One client certificate's requests; a connection for each, which lasts while it is used."""

    def __init__(self, url: str, pki: Path, user: str) -> None:
        self._address = urlsplit(url).netloc
        self._context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._context.load_cert_chain(pki / f"{user}.crt", pki / f"{user}.key")
        self._connection = self._new_connection()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._connection.close()

    def get(self, path: str, **query: str) -> Any:
        return self._ask("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._ask("POST", path, json.dumps(body))

    def delete(self, path: str) -> Any:
        return self._ask("DELETE", path)

    def text(self, path: str) -> str:
        return self._answer("GET", path, None)

    def _ask(self, method: str, path: str, body: str | None = None) -> Any:
        return json.loads(self._answer(method, path, body))

    def _answer(self, method: str, path: str, body: str | None) -> str:
        """Raises OSError or http.client.HTTPException where no answer came."""
        try:
            self._connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = self._new_connection()
            raise
        if answer.status >= 300:
            raise ApiError(answer.status, text)
        return text

    def _new_connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._address, timeout=TIMEOUT_S, context=self._context)
