"""Who may ask for what: one table, from the calls of the contract to the roles.

A runner is no role: it may trade for the revision that it was named for, and nothing else.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

MIB = 1024 * 1024


class Role(StrEnum):
    """What a person or a tool is to the desk. Each may read."""

    READER = "reader"
    TRADER = "trader"
    OPERATOR = "operator"  # says which strategies run
    RISK_OFFICER = "risk-officer"  # stops, closes and lets go on; starts nothing


EVERY_ROLE = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Right:
    """One call: who may make it, and how large it is at the most."""

    roles: frozenset[Role]
    runners: bool = False  # whoever runs a revision may, for that one
    most_bytes: int = MIB
    hurries: bool = False  # what stops trading does not wait behind other calls


_OPERATOR = frozenset({Role.OPERATOR})
_OFFICER = frozenset({Role.RISK_OFFICER})
_TRADER = frozenset({Role.TRADER})

RIGHTS: Mapping[str, Right] = {
    "Trade": Right(frozenset(), runners=True, most_bytes=64 * MIB),  # a strategy's snapshot
    "SubmitSignal": Right(_TRADER | _OFFICER, runners=True),
    "BeginTerm": Right(_OPERATOR),
    "Deploy": Right(_OPERATOR),
    "Withdraw": Right(_OPERATOR | _OFFICER),
    "Halt": Right(_OPERATOR | _OFFICER | _TRADER, hurries=True),
    "CancelOrders": Right(_OPERATOR | _OFFICER | _TRADER, hurries=True),
    "Resume": Right(_OPERATOR | _OFFICER),
    "GetDesk": Right(EVERY_ROLE),
    "ListDeskOrders": Right(EVERY_ROLE),
    "GetBooks": Right(EVERY_ROLE),
    "ExplainOrder": Right(EVERY_ROLE),
}


def roles_of(names: Iterable[str], members: Mapping[Role, Collection[str]]) -> frozenset[Role]:
    """The roles that any of the names was given."""
    known = frozenset(names)
    return frozenset(role for role, given in members.items() if not known.isdisjoint(given))


def listed(roles: Iterable[Role]) -> str:
    """For people: `operator or risk-officer`."""
    return " or ".join(sorted(roles)) or "none"
