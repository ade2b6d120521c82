"""Tokens that another issuer signed: the API server is asked whose they are (TokenReview).

Its word is kept for some seconds. It is asked without an audience, since such a token is for the
API server itself. So what calls itself `system:` is refused: its tokens are judged by audience.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

from risk_gateway.api_server import ApiRefused, ApiServer, ApiUnavailable
from risk_gateway.callers import Caller, NotNow, Refusal, UnknownCaller
from risk_gateway.people import CLUSTERS_OWN, People

KEPT_S = 10.0  # as long as the API server keeps its own
_MOST_KEPT = 1_024
_AT_ONCE = 4
_MOST_WAITING = 64
_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"

Review = Callable[[str], Awaitable[Any]]


class Reviews:
    """Asks once for the same token within `KEPT_S`, and of all tokens a few at once."""

    def __init__(
        self, review: Review, people: People, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`review` answers a TokenReview; raises ApiUnavailable, ApiRefused."""
        self._review = review
        self._people = people
        self._now = now
        self._kept: OrderedDict[str, tuple[float, Caller | UnknownCaller]] = OrderedDict()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def identify(self, token: str) -> Caller:
        """Raises UnknownCaller, NotNow."""
        digest = sha256(token.encode()).hexdigest()
        found = self._remembered(digest)
        if found is None:
            async with self._place():
                found = self._remembered(digest) or self._keep(digest, await self._asked(token))
        if isinstance(found, UnknownCaller):
            raise UnknownCaller(found.refusal, str(found))
        return found

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._waiting >= _MOST_WAITING:
            raise NotNow(Refusal.REVIEW_UNAVAILABLE, f"{self._waiting} tokens wait for a review")
        self._waiting += 1
        try:
            async with self._places:
                yield
        finally:
            self._waiting -= 1

    def _remembered(self, digest: str) -> Caller | UnknownCaller | None:
        at, found = self._kept.get(digest, (0.0, None))
        return found if found is not None and self._now() - at < KEPT_S else None

    def _keep(self, digest: str, found: Caller | UnknownCaller) -> Caller | UnknownCaller:
        self._kept[digest] = self._now(), found
        self._kept.move_to_end(digest)
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return found

    async def _asked(self, token: str) -> Caller | UnknownCaller:
        try:
            answer = await self._review(token)
            return judge(answer, self._people)
        except (ApiUnavailable, ApiRefused) as error:
            raise NotNow(Refusal.REVIEW_UNAVAILABLE, f"token: not reviewed: {error}") from error
        except UnknownCaller as error:
            return error


def judge(review: Any, people: People) -> Caller:
    """Of the API server's answer. Raises UnknownCaller."""
    match review:
        case {"status": {"authenticated": True, "user": {"username": str(name)} as user}} if name:
            if name.startswith(CLUSTERS_OWN):
                message = f"token: of {name}, expected one for this desk's audience"
                raise UnknownCaller(Refusal.AUDIENCE, message)
            listed = user.get("groups")
            groups = [each for each in listed if isinstance(each, str)] if listed else []
            return Caller(subject=name, roles=people.roles(name, groups), groups=tuple(groups))
    raise UnknownCaller(Refusal.NOT_AUTHENTICATED, "token: of nobody whom the cluster knows")


async def review(api: ApiServer, token: str) -> Any:
    """Raises ApiUnavailable, ApiRefused."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": {"token": token}}  # fmt: skip
    return await api.call("POST", _PATH, body)
