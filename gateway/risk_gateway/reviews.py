"""Tokens that another issuer signed: the API server is asked whose they are (TokenReview).

Its word is kept for some seconds. It is asked without an audience, since such a token is for the
API server itself. So what calls itself `system:` is refused: its tokens are judged by audience.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any

from risk_gateway.api_server import ApiRefused, ApiServer, ApiUnavailable
from risk_gateway.callers import Caller, CallerRefused, NotNow, Refusal, UnknownCaller
from risk_gateway.people import CLUSTERS_OWN, People

KEPT_S = 10.0  # as long as the API server keeps its own
_MOST_KEPT = 1_024
_AT_ONCE = 4
_MOST_ASKED = 64  # at once, or waiting for it
_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"

Review = Callable[[str], Awaitable[Any]]
Found = Caller | CallerRefused


class Reviews:
    """Asks once for the same token within `KEPT_S`, and of all tokens a few at once."""

    def __init__(
        self, review: Review, people: People, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`review` answers a TokenReview; raises ApiUnavailable, ApiRefused."""
        self._review = review
        self._people = people
        self._now = now
        self._kept: OrderedDict[str, tuple[float, Found]] = OrderedDict()
        self._asked: dict[str, asyncio.Task[Found]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def identify(self, token: str) -> Caller:
        """Raises UnknownCaller, NotNow."""
        digest = sha256(token.encode()).hexdigest()
        found = self._remembered(digest)
        if found is None:
            # Whoever asked first may hang up: others wait for the same answer.
            found = await asyncio.shield(self._question(digest, token))
        if isinstance(found, CallerRefused):
            raise type(found)(found.refusal, str(found))
        return found

    def _question(self, digest: str, token: str) -> "asyncio.Task[Found]":
        """The one about this token. Raises NotNow."""
        question = self._asked.get(digest)
        if question is None:
            if len(self._asked) >= _MOST_ASKED:
                why = f"{len(self._asked)} tokens wait for a review"
                raise NotNow(Refusal.REVIEW_UNAVAILABLE, why)
            question = self._asked[digest] = asyncio.create_task(self._answer(digest, token))
            question.add_done_callback(lambda _: self._asked.pop(digest))
        return question

    async def _answer(self, digest: str, token: str) -> Found:
        try:
            async with self._places:
                review = await self._review(token)
            found = self._judged(review)
        except (ApiUnavailable, ApiRefused) as error:
            return NotNow(Refusal.REVIEW_UNAVAILABLE, f"token: not reviewed: {error}")
        self._keep(digest, found)
        return found

    def _judged(self, review: Any) -> Found:
        try:
            return judge(review, self._people)
        except UnknownCaller as error:
            return UnknownCaller(error.refusal, str(error))  # its frames have the token

    def _remembered(self, digest: str) -> Found | None:
        at, found = self._kept.get(digest, (0.0, None))
        return found if found is not None and self._now() - at < KEPT_S else None

    def _keep(self, digest: str, found: Found) -> None:
        self._kept[digest] = self._now(), found
        self._kept.move_to_end(digest)
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)


def judge(review: Any, people: People) -> Caller:
    """Of the API server's answer. Raises UnknownCaller."""
    match review:
        case {"status": {"authenticated": True, "user": {"username": str(name)} as user}} if name:
            if name.startswith(CLUSTERS_OWN):
                message = f"token: of {name}, expected one for this desk's audience"
                raise UnknownCaller(Refusal.AUDIENCE, message)
            listed = user.get("groups")
            known = listed if isinstance(listed, list) else []
            groups = [each for each in known if isinstance(each, str)]
            return Caller(subject=name, roles=people.roles(name, groups), groups=tuple(groups))
    raise UnknownCaller(Refusal.NOT_AUTHENTICATED, "token: of nobody whom the cluster knows")


async def review(api: ApiServer, token: str) -> Any:
    """Raises ApiUnavailable, ApiRefused."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": {"token": token}}  # fmt: skip
    return await api.call("POST", _PATH, body)
