"""Values as they are written without the fields that are as they are by default.

Most of a signal and an order is what nobody set: without it a verdict takes two thirds of the
journal, or half where no order leaves. Whoever reads one has the same defaults, so a default of
what is written like this may never change: what left it out would say something else.
"""

from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from operator import attrgetter
from typing import Any

import msgspec


class Terse:
    """Makes what is written of a dataclass."""

    def __init__(self, kind: type, **parts: "Terse") -> None:
        """`parts`: of its fields, those that are written likewise."""
        named = [each.name for each in fields(kind)]
        shape = _shape(fields(kind))
        self._made = msgspec.defstruct(kind.__name__, shape, omit_defaults=True)
        self._read = attrgetter(*named)
        self._parts = [(named.index(name), part) for name, part in parts.items()]

    def __call__(self, value: object) -> msgspec.Struct:
        values = list(self._read(value))
        for place, part in self._parts:
            if values[place] is not None:
                values[place] = part(values[place])
        return self._made(*values)


def _shape(of: Iterable[Field[Any]]) -> Iterable[Any]:
    for each in of:
        if each.default is not MISSING:
            yield each.name, Any, each.default
        elif each.default_factory is not MISSING:
            yield each.name, Any, each.default_factory()
        else:
            yield each.name, Any
