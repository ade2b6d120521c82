"""Which role a person has whom the cluster knows by other means than ServiceAccounts: OIDC, say."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from risk_gateway.roles import Role, roles_of

Members = Mapping[Role, Collection[str]]
CLUSTERS_OWN = "system:"


class InvalidPeople(ValueError):
    """Entries to let nobody in by; names the entry and what is expected."""


@dataclass(frozen=True, slots=True)
class People:
    """Apart, since nobody may choose a name that is a group's."""

    users: Members
    groups: Members

    def roles(self, user: str, groups: Collection[str]) -> frozenset[Role]:
        return roles_of([user], self.users) | roles_of(groups, self.groups)


def read(text: str) -> People:
    """Of `[{"group": "desk-risk", "role": "risk-officer"}]`. Raises InvalidPeople."""
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise InvalidPeople(f"not JSON: {error}") from error
    if not isinstance(entries, list):
        raise InvalidPeople(f"{entries!r}, expected a list of entries")
    found = [_entry(each) for each in entries]
    users, groups = (_members(found, kind) for kind in ("user", "group"))
    return People(users, groups)


def _entry(entry: Any) -> tuple[str, str, Role]:
    match entry:
        case {"user": str(name), "role": str(role), **rest}:
            kind = "user"
        case {"group": str(name), "role": str(role), **rest}:
            kind = "group"
        case _:
            raise InvalidPeople(f"{entry!r}, expected a role, and a user or a group")
    if rest or not name or name.startswith(CLUSTERS_OWN):
        raise InvalidPeople(f"{entry!r}, expected one user or group that is not the cluster's own")
    if role not in set(Role):
        raise InvalidPeople(f"{entry!r}, expected a role of {', '.join(Role)}")
    return kind, name, Role(role)


def _members(entries: Collection[tuple[str, str, Role]], wanted: str) -> Members:
    return {
        role: frozenset(name for kind, name, has in entries if (kind, has) == (wanted, role))
        for role in Role
    }
