"""What a strategy remembers, as bytes: equal memories make equal bytes, in every process.

Plain values, lists, tuples, dicts, sets, deques, Decimals, messages of market data, enumerations
and dataclasses travel; the classes of the last two are those of the strategy's own module or of
the SDK. Everything comes back in its own type.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
from msgspec.msgpack import Ext

from strategy_sdk.market import Book, Candle, Event, Tick, Trade

_HOMES = ("strategy_sdk.indicators", "strategy_sdk.account", "trading.signals")
_PLAIN = frozenset({type(None), bool, float, str, bytes})
_SMALLEST, _GREATEST = -(2**63), 2**64 - 1  # what msgpack has room for

_INT, _DECIMAL, _TUPLE, _SET, _FROZENSET, _DEQUE, _DICT, _EVENT, _OBJECT, _ENUM = range(1, 11)

_encode = msgspec.msgpack.Encoder().encode
_event = msgspec.msgpack.Decoder(Event).decode


class CannotKeep(TypeError):
    """A value that does not travel to a successor; names its place and its type."""


def pack(value: Any, module: str) -> bytes:
    """`module` is the strategy's own. Raises CannotKeep."""
    return _Packing((module, *_HOMES)).bytes(value, "state")


def unpack(data: bytes, module: str) -> Any:
    """Raises CannotKeep."""
    try:
        return _Unpacking((module, *_HOMES)).value(data)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError) as error:
        raise CannotKeep(f"state: {error}") from error


class _Packing:
    def __init__(self, homes: tuple[str, ...]) -> None:
        self._homes = homes

    def bytes(self, value: Any, place: str) -> bytes:
        return _encode(self._packed(value, place))

    def _packed(self, value: Any, place: str) -> Any:
        kind = type(value)
        if kind in _PLAIN or (kind is int and _SMALLEST <= value <= _GREATEST):
            return value
        if kind is list:
            return self._items(value, place)
        if kind is dict and all(type(key) is str for key in value):
            return {key: self._packed(item, f"{place}[{key!r}]") for key, item in value.items()}
        return self._tagged(kind, value, place)

    def _items(self, values: Iterable[Any], place: str) -> list[Any]:
        # Nearly all long memories are lists of plain numbers: no call for each of those.
        return [item if type(item) in _PLAIN else self._packed(item, place) for item in values]

    def _tagged(self, kind: type, value: Any, place: str) -> Ext:
        if kind is int:
            return Ext(_INT, str(value).encode())
        if kind is Decimal:
            return Ext(_DECIMAL, str(value).encode())
        if kind is tuple:
            return Ext(_TUPLE, _encode(self._items(value, place)))
        if kind in (set, frozenset):  # in an order of their own: that of a set is chance
            code = _SET if kind is set else _FROZENSET
            return Ext(code, _encode(sorted(self.bytes(item, place) for item in value)))
        if kind is dict:
            return Ext(_DICT, _encode([self._items(pair, place) for pair in value.items()]))
        if kind is deque:
            return Ext(_DEQUE, _encode([value.maxlen, self._items(value, place)]))
        return self._named(kind, value, place)

    def _named(self, kind: type, value: Any, place: str) -> Ext:
        if kind in (Tick, Trade, Book, Candle):
            return Ext(_EVENT, _encode(value))
        if kind.__module__ in self._homes and "." not in kind.__qualname__:
            name = [kind.__module__, kind.__name__]
            if issubclass(kind, Enum):
                return Ext(_ENUM, self.bytes([*name, value.value], place))
            if names := _field_names(kind):
                held = {field: getattr(value, field) for field in names}
                return Ext(_OBJECT, self.bytes([*name, held], place))
        raise CannotKeep(
            f"{place}: {kind.__qualname__}, expected plain values, collections, messages of market"
            " data, or dataclasses at the top of the strategy's own module; else write get_state"
            " and restore"
        )


class _Unpacking:
    def __init__(self, homes: tuple[str, ...]) -> None:
        self._homes = homes
        self.value: Callable[[Any], Any] = msgspec.msgpack.Decoder(ext_hook=self._untagged).decode
        self._readers: Mapping[int, Callable[[Any], Any]] = {
            _INT: lambda data: int(bytes(data)),
            _DECIMAL: lambda data: Decimal(bytes(data).decode()),
            _TUPLE: lambda data: tuple(self.value(data)),
            _SET: lambda data: {self.value(item) for item in self.value(data)},
            _FROZENSET: lambda data: frozenset(self.value(item) for item in self.value(data)),
            _DEQUE: self._deque,
            _DICT: lambda data: dict(self.value(data)),
            _EVENT: _event,
            _OBJECT: self._object,
            _ENUM: self._enum,
        }

    def _untagged(self, code: int, data: memoryview) -> Any:
        reader = self._readers.get(code)
        if reader is None:
            raise ValueError(f"tag {code}: unknown")
        return reader(data)

    def _deque(self, data: memoryview) -> deque[Any]:
        maxlen, items = self.value(data)
        return deque(items, maxlen)

    def _object(self, data: memoryview) -> Any:
        module, name, held = self.value(data)
        kind = self._class(module, name)
        made = kind.__new__(kind)
        for field in _field_names(kind) & held.keys():
            object.__setattr__(made, field, held[field])  # a frozen one has no other way
        return made

    def _enum(self, data: memoryview) -> Any:
        module, name, value = self.value(data)
        return self._class(module, name)(value)

    def _class(self, module: str, name: str) -> Any:
        """Only what the strategy itself or the SDK defines: the bytes come from another process."""
        kind = getattr(sys.modules.get(module), name, None) if module in self._homes else None
        if not isinstance(kind, type) or not (issubclass(kind, Enum) or _field_names(kind)):
            raise ValueError(f"class {module}.{name}: unknown here")
        return kind


def _field_names(kind: type) -> Any:
    if is_dataclass(kind):
        return {field.name: None for field in fields(kind)}.keys()
    return dict.fromkeys(getattr(kind, "__struct_fields__", ())).keys()
