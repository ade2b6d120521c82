"""StrategyRevisions, read when somebody needs what is in one: seldom, for the spec has it as well.

Watches bring their metadata alone. The few that are read are kept, for they never change.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from strategy_operator.objects import Child
from strategy_operator.observed import StoredRevision

_MOST_KEPT = 200
_INSIDE = frozenset({"content", "runner", "image", "code_digest", "state_key"})


class NotRead(Exception):
    """Its content was asked for and is not here yet."""

    def __init__(self, name: str) -> None:
        super().__init__(f"revision {name}: not read yet")
        self.name = name


class _Unread(StoredRevision):
    """As far as its metadata tell."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        if name in _INSIDE:
            raise NotRead(object.__getattribute__(self, "name"))
        return object.__getattribute__(self, name)


class Archive:
    def __init__(self) -> None:
        self._specs: OrderedDict[str, Mapping[str, str]] = OrderedDict()  # by uid

    def keep(self, manifest: Mapping[str, Any]) -> None:
        self._specs[manifest["metadata"]["uid"]] = manifest["spec"]
        if len(self._specs) > _MOST_KEPT:
            self._specs.popitem(last=False)

    def revision(self, uid: str, metadata: Child) -> StoredRevision:
        """Raises NotRead when what is inside is asked for and was never kept."""
        owner_uid, created_at = metadata.owner_uid, metadata.created_at
        spec = self._specs.get(uid)
        if spec is None:
            return _Unread(metadata.revision, owner_uid, created_at, "", "", "")
        self._specs.move_to_end(uid)
        return StoredRevision(
            name=metadata.revision,
            owner_uid=owner_uid,
            created_at=created_at,
            content=spec["content"],
            runner=spec["runner"],
            image=spec.get("image", ""),
            code_digest=spec["codeDigest"],
            state_key=spec["stateKey"],
        )
