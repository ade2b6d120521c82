"""The roster: who else may call this desk and in which roles, in a file that a person writes.

    [ana]
    roles = ["risk-officer"]
    token_sha256 = "9f86d0..."            # of the token that ana shows
    certificate = "spiffe://example/ana"  # or a name in ana's client certificate

It is read again when it has changed. One that cannot be read lets nobody in: a caller that was
just struck off must not stay because of a slip elsewhere in the file.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from risk_gateway.roles import Role

log = structlog.get_logger()
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELDS = {"roles", "token_sha256", "certificate"}


class InvalidRoster(ValueError):
    """A roster to let nobody in by; names the entry, its field and what is expected."""


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    roles: frozenset[Role]
    token_sha256: str = ""
    certificate: str = ""


class Roster:
    """Asked at each call: a stat, which takes microseconds."""

    def __init__(self, path: Path | None) -> None:
        """None: nobody is on it. Raises InvalidRoster."""
        self._path = path
        self._seen = self._stamp()
        self._members = read(_content(path)) if path is not None and self._seen else ()

    def by_token(self, token_sha256: str) -> Member | None:
        found = (each for each in self._current() if each.token_sha256 == token_sha256)
        return next(found, None)

    def by_certificate(self, names: Sequence[str]) -> Member | None:
        found = (each for each in self._current() if each.certificate and each.certificate in names)
        return next(found, None)

    def _current(self) -> tuple[Member, ...]:
        if self._path is not None and (seen := self._stamp()) != self._seen:
            self._seen = seen
            self._members = self._read(self._path)
            log.info("roster_read", members=len(self._members))
        return self._members

    def _read(self, path: Path) -> tuple[Member, ...]:
        try:
            return read(_content(path)) if self._seen else ()
        except InvalidRoster as error:
            log.warning("roster_refused", path=str(path), error=str(error))
            return ()

    def _stamp(self) -> str:
        """Empty: it is not there."""
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            found = None
        return f"{found.st_mtime_ns}/{found.st_size}/{found.st_ino}" if found else ""


def _content(path: Path) -> bytes:
    """Raises InvalidRoster."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRoster(f"cannot be read: {error.strerror}") from error


NO_ROSTER = Roster(None)


def read(document: bytes) -> tuple[Member, ...]:
    """Raises InvalidRoster."""
    try:
        entries = tomllib.loads(document.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidRoster(f"not TOML: {error}") from error
    members = tuple(_member(name, entry) for name, entry in entries.items())
    for field in ("token_sha256", "certificate"):
        _check_unique([getattr(each, field) for each in members], field)
    return members


def _member(name: str, entry: Any) -> Member:
    if not isinstance(entry, Mapping):
        raise InvalidRoster(f"{name}: {entry!r}, expected a table [{name}]")
    for field in entry.keys() - _FIELDS:
        raise InvalidRoster(f"{name}.{field}: expected one of {', '.join(sorted(_FIELDS))}")
    token, certificate = _text(name, entry, "token_sha256"), _text(name, entry, "certificate")
    if token and not _SHA256.fullmatch(token):
        raise InvalidRoster(f"{name}.token_sha256: {token!r}, expected 64 hex digits, lower case")
    if not token and not certificate:
        raise InvalidRoster(f"{name}: expected token_sha256 or certificate")
    return Member(name, _roles(name, entry.get("roles")), token, certificate)


def _text(name: str, entry: Mapping[str, Any], field: str) -> str:
    value = entry.get(field, "")
    if not isinstance(value, str):
        raise InvalidRoster(f"{name}.{field}: {value!r}, expected a string")
    return value


def _roles(name: str, value: Any) -> frozenset[Role]:
    known = ", ".join(Role)
    if not isinstance(value, list) or not value:
        raise InvalidRoster(f"{name}.roles: {value!r}, expected a list of {known}")
    for each in value:
        if each not in list(Role):
            raise InvalidRoster(f"{name}.roles: {each!r}, expected some of {known}")
    return frozenset(map(Role, value))


def _check_unique(values: Sequence[str], field: str) -> None:
    given = [value for value in values if value]
    if len(given) != len(set(given)):
        raise InvalidRoster(f"{field}: the same one twice, expected one for each caller")
