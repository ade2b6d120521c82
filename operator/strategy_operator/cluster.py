"""The API server, asked over plain HTTPS: the few requests that the operator makes.

Answers are dicts without `managedFields`. A no is an exception that says what kind of no it is:
what a retry cannot help is told from what it can.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from platform_spec.metadata import API_VERSION
from strategy_operator.access import Access
from strategy_operator.throttle import Throttle

FIELD_MANAGER = "stratops-operator"
_WHOLE_S = 10.0
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"
# A field that the CRD lacks, or a key that a list has twice: a 500 without a reason, for ever.
_NEVER_VALID = "failed to create typed patch object"


class No(StrEnum):
    """What an action that the API server did not do came to."""

    NOT_FOUND = "NotFound"
    FOREIGN = "Foreign"  # somebody else's object has the name
    FORBIDDEN = "Forbidden"
    CONFLICT = "Conflict"  # it changed meanwhile; look again
    INVALID = "Invalid"  # it will not take this, however often it is asked
    UNREACHABLE = "Unreachable"  # no answer, or none that says anything

    @property
    def passing(self) -> bool:
        return self in (No.CONFLICT, No.UNREACHABLE)


class Refused(Exception):
    def __init__(self, no: No, message: str) -> None:
        super().__init__(message)
        self.no = no


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object, and where it is."""

    kind: str
    plural: str
    api: str  # "v1" or "<group>/<version>"

    def path(self, namespace: str = "", name: str = "", part: str = "") -> str:
        """Without a namespace: those of all namespaces."""
        root = f"/api/{self.api}" if "/" not in self.api else f"/apis/{self.api}"
        within = f"/namespaces/{namespace}" if namespace else ""
        ends = "".join(f"/{each}" for each in (name, part) if each)
        return f"{root}{within}/{self.plural}{ends}"


STRATEGY = Resource("Strategy", "strategies", API_VERSION)
REVISION = Resource("StrategyRevision", "strategyrevisions", API_VERSION)
POLICY = Resource("RiskPolicy", "riskpolicies", API_VERSION)
POD = Resource("Pod", "pods", "v1")
CONFIG_MAP = Resource("ConfigMap", "configmaps", "v1")
LEASE = Resource("Lease", "leases", "coordination.k8s.io/v1")
EVENT = Resource("Event", "events", "v1")
ACCOUNT = Resource("ServiceAccount", "serviceaccounts", "v1")
OURS = (STRATEGY, REVISION, POLICY)


class Cluster:
    """One session with the API server. Reads and writes are throttled, urgent ones pass by."""

    def __init__(self, access: Access, throttle: Throttle | None = None) -> None:
        self.access = access
        self._throttle = throttle or Throttle()
        connector = aiohttp.TCPConnector(ssl=access.tls if access.tls else False, limit=32)
        self._session = aiohttp.ClientSession(connector=connector, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        return self._session

    # ---- reading

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        return await self._asked("GET", resource.path(namespace, name))

    async def listed(
        self, resource: Resource, namespace: str, labels: str = ""
    ) -> list[dict[str, Any]]:
        """All at once: for the few that somebody asks for by hand."""
        query = {"labelSelector": labels} if labels else {}
        answer = await self._asked("GET", resource.path(namespace), query=query)
        return [_trimmed(item) for item in answer["items"]]

    async def serves(self, resources: tuple[Resource, ...] = OURS) -> bool:
        """Whether the CustomResourceDefinitions are there."""
        try:
            answer = await self._asked("GET", f"/apis/{resources[0].api}")
        except Refused as refused:
            if refused.no is No.NOT_FOUND:
                return False
            raise
        there = {each["name"] for each in answer["resources"]}
        return all(resource.plural in there for resource in resources)

    # ---- writing

    async def create(self, resource: Resource, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """The object that is there then; Foreign when it belongs to another owner."""
        metadata = manifest["metadata"]
        query = {"fieldManager": FIELD_MANAGER}
        try:
            return await self._asked("POST", resource.path(metadata["namespace"]), manifest, query)
        except Refused as refused:
            if refused.no is not No.CONFLICT:
                raise
        there = await self._there(resource, metadata["namespace"], metadata["name"])
        if owner_uid(there) != owner_uid(manifest):
            kind, name = resource.kind, metadata["name"]
            raise Refused(No.FOREIGN, f"{kind} {name}: is there and belongs to {_owner(there)}")
        return there

    async def _there(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        try:
            return await self.get(resource, namespace, name)
        except Refused as refused:
            if refused.no is not No.NOT_FOUND:
                raise
            raise Refused(No.CONFLICT, f"{resource.kind} {name}: was there, and went") from refused

    async def post(self, resource: Resource, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Conflict when the name is taken."""
        return await self._asked("POST", resource.path(manifest["metadata"]["namespace"]), manifest)

    async def put(self, resource: Resource, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """With its resourceVersion: Conflict when it changed since."""
        metadata = manifest["metadata"]
        path = resource.path(metadata["namespace"], metadata["name"])
        return await self._asked("PUT", path, manifest)

    async def apply(
        self, resource: Resource, manifest: Mapping[str, Any], part: str = ""
    ) -> dict[str, Any]:
        """Server-side apply, by force. With its uid or resourceVersion it touches no other one."""
        metadata = manifest["metadata"]
        said = _without_empty(manifest)
        body = {"apiVersion": resource.api, "kind": resource.kind, **said}
        path = resource.path(metadata["namespace"], metadata["name"], part)
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._asked("PATCH", path, body, query, kind=_APPLY)

    async def merge(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        urgent: bool = False,
    ) -> dict[str, Any]:
        query = {"fieldManager": FIELD_MANAGER}
        path = resource.path(namespace, name)
        return await self._asked("PATCH", path, patch, query, kind=_MERGE, urgent=urgent)

    async def delete(
        self, resource: Resource, namespace: str, name: str, uid: str
    ) -> dict[str, Any] | None:
        """What is left of it, of that uid only; None: nothing, now or before."""
        path = resource.path(namespace, name)
        try:
            answer = await self._asked("DELETE", path, {"preconditions": {"uid": uid}}, urgent=True)
        except Refused as refused:
            if refused.no in (No.NOT_FOUND, No.CONFLICT):
                return None
            raise
        return answer if answer.get("kind") == resource.kind else None

    async def asked_token(
        self, namespace: str, account: str, audience: str, life_s: int
    ) -> dict[str, Any]:
        """The TokenRequest with its status."""
        spec = {"audiences": [audience], "expirationSeconds": life_s}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        return await self._asked("POST", ACCOUNT.path(namespace, account, "token"), body)

    # ---- how

    async def _asked(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        *,
        kind: str = "application/json",
        urgent: bool = False,
    ) -> dict[str, Any]:
        await self._throttle.turn(urgent=urgent)
        try:
            async with self._session.request(
                method,
                self.access.server + path,
                params=query,
                data=msgspec.json.encode(body) if body is not None else None,
                headers={"Content-Type": kind, **self.access.headers()},
                timeout=aiohttp.ClientTimeout(total=_WHOLE_S),
            ) as response:
                return _answer(response.status, await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Refused(No.UNREACHABLE, f"API server: {shown(error)}") from error


def _answer(status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = msgspec.json.decode(body)
    except msgspec.DecodeError:
        answer = {"message": body[:200].decode(errors="replace")}
    if status < 400 and isinstance(answer, dict):
        return _trimmed(answer)
    message = str(answer.get("message", "")) if isinstance(answer, dict) else ""
    raise Refused(_no(status, message), f"API server: {status}: {message or 'no message'}")


def _no(status: int, message: str) -> No:
    if _NEVER_VALID in message:
        return No.INVALID
    return _NOS.get(status, No.INVALID if status < 500 else No.UNREACHABLE)


_NOS = {
    401: No.FORBIDDEN,
    403: No.FORBIDDEN,
    404: No.NOT_FOUND,
    409: No.CONFLICT,
    410: No.UNREACHABLE,
    429: No.UNREACHABLE,
}


def _trimmed(answer: dict[str, Any]) -> dict[str, Any]:
    metadata = answer.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)
    return answer


def _without_empty(value: Any) -> Any:
    """An empty map or list in the place of entries of ours is stored as null, which is invalid."""
    if isinstance(value, Mapping):
        kept = {key: _without_empty(each) for key, each in value.items()}
        return {key: each for key, each in kept.items() if each not in ({}, [])}
    if isinstance(value, list):
        return [_without_empty(each) for each in value]
    return value


def shown(error: BaseException) -> str:
    """Some have nothing to say but their name."""
    return str(error) or type(error).__name__


def owner_uid(manifest: Mapping[str, Any]) -> str:
    """Of the owner that controls it; empty without one."""
    for owner in manifest["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return str(owner["uid"])
    return ""


def _owner(manifest: Mapping[str, Any]) -> str:
    for owner in manifest["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{owner['kind']} {owner['name']} ({owner['uid']})"
    return "no owner"
