"""What a policy has a strategy leave out, check by check, and what each would have refused; and
whose limit it was that refused anything.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from model_verdict import BYPASSABLE, IF_WRITTEN

if TYPE_CHECKING:
    from desk_model import DeskModel
    from model_verdict import Asked


def named(several: Iterable[tuple[Mapping[str, Any], Mapping[str, Any] | None]]) -> set[str]:
    """What the policies of all of these contents leave out; None: nothing that can be read."""
    said = [
        set(policy.get("bypass", ())) if policy and content["mode"] != "live" else set()
        for content, policy in several
    ]
    return set.intersection(*said)


def is_known(names: Iterable[str]) -> bool:
    return set(names) <= BYPASSABLE.keys()


def may_be_live(policy: Mapping[str, Any] | None) -> bool:
    return bool(policy and policy.get("allowLive") and not policy.get("bypass"))


def note(asked: "Asked", reason: str | None) -> None:
    """What is counted of a verdict."""
    fields = {"strategy": asked.strategy, "by": asked.by}
    if reason is not None and (level := _level(asked, reason)):
        asked.model.note("refused by", level=level, reason=reason, **fields)
    if reason is None and not (asked.closing or asked.observed):
        for name in asked.terms["bypass"]:
            if refused := _would_refuse(asked, name):
                asked.model.note("bypassed", reason=refused, **fields)


def _would_refuse(asked: "Asked", name: str) -> str | None:
    """Of a limit that nobody writes: nothing."""
    optional = {name for name, _ in IF_WRITTEN}
    if name in optional and not asked.limit(name).is_finite():
        return None
    return BYPASSABLE[name](asked)


def _level(asked: "Asked", reason: str) -> str:
    if asked.refused_by:
        return asked.refused_by
    if reason == "self_trade":
        return "account"
    is_limit = reason.startswith(("max_", "min_")) or reason.endswith("ed_symbols")
    return "strategy" if is_limit else ""


def refusals(model: "DeskModel") -> Counter[tuple[str, str]]:
    """By level and reason, in this life of the gateway."""
    return Counter((each["level"], each["reason"]) for each in _counted(model, "refused by"))


def bypassed(model: "DeskModel") -> Counter[str]:
    return Counter(each["reason"] for each in _counted(model, "bypassed"))


def _counted(model: "DeskModel", kind: str) -> list[dict[str, Any]]:
    """What is not written yet is not counted either."""
    pending = {each.key for each in model.submissions}
    found: list[dict[str, Any]] = []
    for fact in model.facts:
        if fact["is"] == "restarted":
            found = []
        elif fact["is"] == kind and fact["by"] not in pending:
            found.append(fact)
    return found
