"""The cluster's API server, as far as the gateway asks it: plain JSON over HTTPS.

Token and CA are read anew for each session and call: the kubelet replaces the files.
"""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp

from risk_gateway.settings import ApiAccess

CALL_S = 5.0
_ACCEPT = "application/json, application/jwk-set+json"  # the keys are of a type of their own
_CONNECT_S = 3.0
_MOST_LINE = 4 * 1024 * 1024


class ApiUnavailable(Exception):
    """No answer, or none that can be read; waiting helps."""


class ApiRefused(Exception):
    """It answered, with a status that is none of success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class ApiServer:
    """`async with` it. Raises ApiUnavailable, ApiRefused."""

    def __init__(self, access: ApiAccess) -> None:
        self._access = access
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, path: str, **query: str) -> Any:
        return await self.call("GET", path, query=query)

    async def call(
        self, method: str, path: str, body: object = None, query: Mapping[str, str] | None = None
    ) -> Any:
        """The answer's document."""
        patience = aiohttp.ClientTimeout(total=CALL_S, sock_connect=_CONNECT_S)
        async with self._answered(method, path, query or {}, patience, body) as answer:
            try:
                return json.loads(await answer.read())
            except ValueError as error:
                raise ApiUnavailable(f"{path}: no JSON: {error}") from error

    @asynccontextmanager
    async def following(
        self, path: str, silence_s: float, query: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of an answer without an end; silent for so long, it is unavailable."""
        patience = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=silence_s)
        async with self._answered("GET", path, query, patience) as answer:
            yield _lines(answer.content)

    @asynccontextmanager
    async def _answered(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        patience: aiohttp.ClientTimeout,
        body: object = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = f"{self._access.server}{path}"
        try:
            session = self._opened()
            headers = {"Authorization": f"Bearer {self._token()}", "Accept": _ACCEPT}
            async with session.request(
                method, url, params=query, json=body, headers=headers, timeout=patience
            ) as answer:
                if answer.status >= 300:
                    raise ApiRefused(answer.status, _message(await answer.read()))
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            await self.close()  # the CA may be another one next time
            raise ApiUnavailable(f"{url}: {error or type(error).__name__}") from error

    def _opened(self) -> aiohttp.ClientSession:
        """Raises OSError."""
        if self._session is None:
            trust = ssl.create_default_context(cafile=str(self._access.ca))
            connector = aiohttp.TCPConnector(ssl=trust)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session

    def _token(self) -> str:
        return self._access.token_file.read_text().strip()


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in content.iter_any():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
        if len(rest) > _MOST_LINE:
            raise ApiUnavailable(f"a line of more than {_MOST_LINE} bytes")


def _message(body: bytes) -> str:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    told = document.get("message") if isinstance(document, dict) else None
    return str(told or body[:200].decode("latin-1"))
