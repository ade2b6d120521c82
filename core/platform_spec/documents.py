"""YAML documents as plain values that know their lines, from text that nobody vouches for.

Read from parser events, without recursion: bounded in size, depth and number of values (an alias
counts for all that it stands for). Each key once. Of YAML's many spellings only those of YAML 1.2
and JSON are more than text: `yes`, `1:30` and `2024-08-08` are text, `1e-7` is a number. Where
kubectl, which keeps to YAML 1.1, reads more than text, the document says so: `doubtful`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

LARGEST = 1_000_000  # bytes
DEEPEST = 32
MOST_VALUES = 50_000  # with aliases expanded
MOST_DOCUMENTS = 1_000

Path = tuple[str | int, ...]

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INT64 = 2**63
_TRUE_TO_KUBECTL = ("y", "Y", "yes", "Yes", "YES", "on", "On", "ON")
_FALSE_TO_KUBECTL = ("n", "N", "no", "No", "NO", "off", "Off", "OFF")
_WORDS = frozenset((*_TRUE_TO_KUBECTL, *_FALSE_TO_KUBECTL))
_OTHER_NUMBER = re.compile(
    r"[-+]?(0[0-9_]+|0o[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+|\.(inf|Inf|INF))"
    r"|[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9][0-9_]*|\.(nan|NaN|NAN)"
)


class InvalidDocument(ValueError):
    """Text that is not YAML, or not YAML that is taken here."""

    def __init__(self, line: int, path: Path, value: str, expected: str) -> None:
        super().__init__(f"line {line}: {value}, expected {expected}")
        self.line, self.path, self.value, self.expected = line, path, value, expected


@dataclass(frozen=True, slots=True)
class Document:
    value: Any
    line: int
    lines: Mapping[Path, int]
    doubtful: Mapping[Path, str] = field(default_factory=dict)  # text here, not so to kubectl

    def line_of(self, path: Path) -> int:
        """The line of `path`, or of the nearest thing around it that was written."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, self.line)


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read."""

    path: Path
    value: dict[str, Any] | list[Any]
    anchor: str | None
    began: int  # how many values had been read before it
    key: str | None = None


@dataclass(slots=True)
class _Reading:
    lines: dict[Path, int] = field(default_factory=dict)
    doubtful: dict[Path, str] = field(default_factory=dict)
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)  # value, how many it counts
    values: int = 0
    root: Any = None


def documents(data: bytes) -> Iterator[Document]:
    """The documents of `data` that are not empty. Raises InvalidDocument."""
    if len(data) > LARGEST:
        raise InvalidDocument(1, (), f"{len(data)} bytes", f"at most {LARGEST}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidDocument(line, (), f"byte {data[error.start]:#04x}", "UTF-8 text") from None
    try:
        yield from _documents(text)
    except yaml.YAMLError as error:
        raise _unreadable(error) from None
    except (ValueError, OverflowError) as error:  # PyYAML's scanner, on odd escapes and versions
        if isinstance(error, InvalidDocument):
            raise
        raise InvalidDocument(1, (), str(error), "YAML") from None


def _unreadable(error: yaml.YAMLError) -> InvalidDocument:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
    return InvalidDocument(mark.line + 1 if mark else 1, (), str(what), "YAML")


def _documents(text: str) -> Iterator[Document]:
    reading, line, count = _Reading(), 1, 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.DocumentStartEvent):
            reading, line = _Reading(), _line(event)
        elif isinstance(event, yaml.DocumentEndEvent):
            count += 1
            if count > MOST_DOCUMENTS:
                raise InvalidDocument(line, (), "more documents", f"at most {MOST_DOCUMENTS}")
            if reading.root is not None:
                first = reading.lines.get((), line)
                yield Document(reading.root, first, reading.lines, reading.doubtful)
        else:
            _take(reading, event)


def _line(event: Any) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _take(reading: _Reading, event: Any) -> None:
    line = _line(event)
    if isinstance(event, yaml.ScalarEvent):
        _scalar(reading, event, line)
    elif isinstance(event, yaml.AliasEvent):
        _alias(reading, event, line)
    elif isinstance(event, yaml.CollectionStartEvent):
        _open(reading, event, line)
    elif isinstance(event, yaml.CollectionEndEvent):
        _close(reading)


def _scalar(reading: _Reading, event: Any, line: int) -> None:
    top = reading.stack[-1] if reading.stack else None
    if top is not None and isinstance(top.value, dict) and top.key is None:
        _key(reading, top, event.value, line)
        _note_doubt(reading, event, event.value, (*top.path, event.value))
        return
    path = _place(reading, line)
    value = _value(event, line, path)
    _note_doubt(reading, event, value, path)
    _put(reading, value)
    if event.anchor:
        reading.anchors[event.anchor] = (value, 1)


def _note_doubt(reading: _Reading, event: Any, value: Any, path: Path) -> None:
    is_plain = event.tag is None and event.implicit[0]
    if is_plain and isinstance(value, str) and (value in _WORDS or _OTHER_NUMBER.fullmatch(value)):
        reading.doubtful[path] = value


def _key(reading: _Reading, top: _Open, key: str, line: int) -> None:
    path = (*top.path, key)
    if key in top.value:
        first = reading.lines[path]
        raise InvalidDocument(line, path, "written twice", f"each key once; first on line {first}")
    top.key = key
    reading.lines[path] = line


def _alias(reading: _Reading, event: Any, line: int) -> None:
    path = _place(reading, line)
    value, count = reading.anchors.get(event.anchor, (None, 0))
    if not count:
        raise InvalidDocument(line, path, f"*{event.anchor}", "an anchor that ended before")
    _count(reading, count, line, path)
    _put(reading, value)


def _open(reading: _Reading, event: Any, line: int) -> None:
    path = _place(reading, line)
    if len(reading.stack) >= DEEPEST:
        raise InvalidDocument(line, (), "deeper nesting", f"at most {DEEPEST} levels")
    if event.tag not in (None, "!", _TAG + "map", _TAG + "seq"):
        raise InvalidDocument(line, path, f"tag {event.tag}", "plain values without tags")
    value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
    reading.stack.append(_Open(path, value, event.anchor, reading.values - 1))


def _close(reading: _Reading) -> None:
    closed = reading.stack.pop()
    if closed.anchor:
        reading.anchors[closed.anchor] = (closed.value, reading.values - closed.began)
    _put(reading, closed.value)


def _place(reading: _Reading, line: int) -> Path:
    """The path of the value that begins here; it is counted, and its line noted."""
    path: Path = ()
    if reading.stack:
        top = reading.stack[-1]
        if isinstance(top.value, list):
            path = (*top.path, len(top.value))
        elif top.key is None:
            raise InvalidDocument(line, top.path, "a key that is no text", "text as key")
        else:
            path = (*top.path, top.key)
    _count(reading, 1, line, path)
    reading.lines.setdefault(path, line)
    return path


def _count(reading: _Reading, values: int, line: int, path: Path) -> None:
    reading.values += values
    if reading.values > MOST_VALUES:
        raise InvalidDocument(line, path, "more values", f"at most {MOST_VALUES}, aliases expanded")


def _put(reading: _Reading, value: Any) -> None:
    if not reading.stack:
        reading.root = value
        return
    top = reading.stack[-1]
    if isinstance(top.value, list):
        top.value.append(value)
    elif top.key is not None:
        top.value[top.key] = value
        top.key = None


def _value(event: Any, line: int, path: Path) -> Any:
    text: str = event.value
    if event.tag in ("!", _TAG + "str") or (event.tag is None and not event.implicit[0]):
        return _text(text, line, path)
    if event.tag is not None:
        raise InvalidDocument(line, path, f"tag {event.tag}", "plain values without tags")
    if text in _NULLS:
        return None
    if text in _TRUTHS:
        return _TRUTHS[text]
    return _number(text, line, path) if _FLOAT.fullmatch(text) else _text(text, line, path)


def _number(text: str, line: int, path: Path) -> int | float:
    if not _INTEGER.fullmatch(text):
        value: int | float = float(text)
    else:
        value = int(text) if len(text) <= 20 else _INT64
    if abs(value) >= _INT64 if isinstance(value, int) else value in (float("inf"), -float("inf")):
        raise InvalidDocument(
            line, path, text[:60], "a number within 64 bits; larger ones in quotes"
        )
    return value


def _text(text: str, line: int, path: Path) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, written as an escape
        raise InvalidDocument(line, path, repr(text[:60]), "text that is Unicode") from None
    return text
