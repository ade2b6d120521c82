"""The namespace's RiskPolicy objects, watched at the API server: listed, then followed.

What is seen is in force when it is seen, whoever else is down. A watch that breaks goes on from the
last version; one that is too old (410) lists again, which also brings what was deleted meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import structlog

from risk_gateway.api_server import ApiRefused, ApiServer, ApiUnavailable

# The server ends a watch after so long, and one that is silent for longer is dead: a quiet kind
# gets no bookmarks, so its silence alone says nothing.
WATCH_S = 30
_SILENCE_S = WATCH_S + 5.0
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0
_TOO_OLD = 410

log = structlog.get_logger()


class _Event(msgspec.Struct):
    type: str
    object: dict[str, Any]


_decode = msgspec.json.Decoder(_Event).decode


class PolicyBook(Protocol):
    """Who is told. Both are in force at once."""

    def list_policies(self, listed: Mapping[str, Mapping[str, Any]]) -> None: ...

    def policy_changed(self, name: str, spec: dict[str, Any] | None) -> None: ...


class PolicyWatch:
    """`run()` it as a task."""

    def __init__(self, api: ApiServer, namespace: str, book: PolicyBook) -> None:
        self._api = api
        self._path = f"/apis/stratops.dev/v1alpha1/namespaces/{namespace}/riskpolicies"
        self._book = book
        self._version = ""  # to go on from; empty: list
        self._trouble = ""
        self.following = False  # what is said now is heard

    async def run(self) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            began = asyncio.get_running_loop().time()
            await self._look()
            lasted_s = asyncio.get_running_loop().time() - began
            if lasted_s > _LONGEST_WAIT_S:
                wait_s = _FIRST_WAIT_S
            else:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    async def _look(self) -> None:
        try:
            if not self._version:
                await self._list()
            await self._follow()
        except ApiRefused as refused:
            if refused.status == _TOO_OLD:
                self._version = ""
            self._note(str(refused))
        except ApiUnavailable as error:
            self._note(str(error))
        finally:
            self.following = False

    async def _list(self) -> None:
        answer = await self._api.get(self._path)
        items = answer.get("items") if isinstance(answer, dict) else None
        if not isinstance(items, list):
            raise ApiUnavailable(f"{self._path}: no list")
        listed = [_read(item) for item in items]
        version = _read_version(answer)
        self._book.list_policies({policy.name: policy.spec for policy in listed})
        self._version = version
        log.info("policies_listed", count=len(items), version=self._version)

    async def _follow(self) -> None:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(WATCH_S),
        }
        async with self._api.following(self._path, _SILENCE_S, query) as lines:
            self.following = True
            self._note("")
            await self._take_all(lines)

    async def _take_all(self, lines: AsyncIterator[bytes]) -> None:
        async for line in lines:
            try:
                event = _decode(line)
            except (msgspec.MsgspecError, RecursionError) as error:
                raise ApiUnavailable(f"{self._path}: no event: {line[:100]!r}") from error
            self._take(event)

    def _take(self, event: _Event) -> None:
        kind, item = event.type, event.object
        if kind == "ERROR":
            raise ApiRefused(int(item.get("code") or 500), str(item.get("message")))
        if kind in ("ADDED", "MODIFIED"):
            policy = _read(item)
            self._book.policy_changed(policy.name, policy.spec)
        elif kind == "DELETED":
            self._book.policy_changed(_read(item).name, None)
        self._version = _read_version(item)  # a bookmark has nothing else

    def _note(self, trouble: str) -> None:
        """Once each, and once when it is over."""
        if trouble and trouble != self._trouble:
            log.warning("policies_not_followed", why=trouble)
        elif self._trouble and not trouble:
            log.info("policies_followed_again")
        self._trouble = trouble


@dataclass(frozen=True, slots=True)
class _Policy:
    name: str
    spec: dict[str, Any]


def _read(item: Any) -> _Policy:
    """Raises ApiUnavailable."""
    try:
        return _Policy(str(item["metadata"]["name"]), dict(item.get("spec") or {}))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ApiUnavailable(f"no policy: {error!r}") from error


def _read_version(item: Any) -> str:
    """Raises ApiUnavailable."""
    try:
        return str(item["metadata"]["resourceVersion"])
    except (KeyError, TypeError) as error:
        raise ApiUnavailable(f"no version: {error!r}") from error
