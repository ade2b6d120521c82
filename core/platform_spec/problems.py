"""What is wrong with a manifest, told to the person who wrote it.

A problem names file, line, field, value, what was expected, and the nearest valid name.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from platform_spec.documents import Document, Path
from platform_spec.shapes import WRONG

MOST_PROBLEMS = 100  # of one resource; nobody reads more
_LONGEST_VALUE = 60
_UNKNOWN = "unknown field"  # a hint says more than the list of all that is known


@dataclass(frozen=True, slots=True)
class Problem:
    """`value` is what was found, as text: a quoted value, "missing", "unknown field".

    File and line are empty for what was not read from a file.
    """

    file: str
    line: int
    path: str
    value: str
    expected: str
    did_you_mean: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part)
        place = f"{place}: " if place else ""
        field = f"{self.path}: " if self.path else ""
        hint = f"; did you mean {self.did_you_mean}?" if self.did_you_mean else ""
        known = not self.expected or (hint and self.value.startswith("unknown"))
        expected = "" if known else f", expected {self.expected}"
        return f"{place}{field}{self.value}{expected}{hint}"


class InvalidManifest(ValueError):
    """Nothing of the file may be used; `problems` says why, at least once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name most like `name`, or nothing."""
    by_lower = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name[:_LONGEST_VALUE].lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else ""


def shown(value: object) -> str:
    """A value as messages quote it: as JSON has it where it can, and not too long."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    words: Mapping[object, str] = {None: "null", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def path_text(path: Path) -> str:
    """`("spec", "symbols", 0)` as `spec.symbols[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if part.isprintable() and len(part) <= _LONGEST_VALUE else shown(part)
            text += f".{name}" if text else name
    return text


def problems_of(
    error: ValidationError, model: type[BaseModel], document: Document, file: str
) -> tuple[Problem, ...]:
    """One problem for each thing that the model found, in the order of lines."""
    errors = error.errors(include_url=False)[:MOST_PROBLEMS]
    found = [_problem(each, model, document, file) for each in errors if not _follows(each, errors)]
    return tuple(sorted(found, key=lambda problem: problem.line))


def _follows(error: Any, errors: Sequence[Any]) -> bool:
    """Whether a list seems too short only because an item of it is wrong."""
    loc = error["loc"]
    return error["type"] == "too_short" and any(
        each["loc"][: len(loc)] == loc for each in errors if len(each["loc"]) > len(loc)
    )


def _problem(error: Any, model: type[BaseModel], document: Document, file: str) -> Problem:
    path, kind, context = _path(error["loc"]), error["type"], error.get("ctx", {})
    if kind == WRONG and context.get("field"):
        path = (*path, *context["field"].split("."))
        value = _found(document, path)
        return Problem(file, document.line_of(path), path_text(path), value, context["expected"])
    value, expected, hint = shown(error["input"]), _expected(kind, context, error["msg"]), ""
    if kind == "extra_forbidden":
        names = _names(model, path[:-1])
        value, expected, hint = _UNKNOWN, _one_of(names), nearest(str(path[-1]), names)
    elif kind == "missing":
        value, expected = "missing", _description(model, path)
    elif kind in ("enum", "literal_error"):
        hint = nearest(str(error["input"]), context["expected"].replace(" or ", ", ").split(", "))
        hint = hint.strip("'")
    return Problem(file, document.line_of(path), path_text(path), value, expected, hint)


def _found(document: Document, path: Path) -> str:
    value = document.value
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return "missing"
        value = value[part]
    return shown(value)


def _path(loc: tuple[str | int, ...]) -> Path:
    return tuple(part for part in loc if part != "[key]")


_PHRASES = {
    "bool_type": "true or false",
    "string_type": "text; quote it if it looks like a number",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "extra_forbidden": "a known field",
}


def _expected(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind in _PHRASES:
        return _PHRASES[kind]
    if kind == "too_short":
        return f"at least {context['min_length']}"
    if kind == "too_long":
        return f"at most {context['max_length']}"
    return str(context.get("expected", message))


def _one_of(names: Sequence[str]) -> str:
    return f"one of {', '.join(names)}" if names else "no fields here"


def _names(model: type[BaseModel], path: Path) -> Sequence[str]:
    found = _model_at(model, path)
    return [field.alias or name for name, field in found.model_fields.items()] if found else []


def _description(model: type[BaseModel], path: Path) -> str:
    """What the missing field is for, from its description."""
    around = _model_at(model, path[:-1])
    fields = around.model_fields.items() if around else ()
    for name, field in fields:
        if path[-1] == (field.alias or name) and field.description:
            return field.description[0].lower() + field.description[1:].rstrip(".")
    return "a value"


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The model of the part that `path` leads to."""
    at: type[BaseModel] | None = model
    for part in path:
        fields = at.model_fields.items() if at else ()
        annotation = next((f.annotation for n, f in fields if part == (f.alias or n)), None)
        at = _model_in(annotation)
    return at


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in `Model` or `Model | None`."""
    for each in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None
