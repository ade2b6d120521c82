"""From models to structural schemas, as Kubernetes takes them.

Every word of a model's schema is translated or refused; none is passed over. A number that may be
text has no type, since `x-kubernetes-int-or-string` refuses `0.1`: bounds hold for numbers, the
pattern for text. No default is written: it would change what is stored, and so its hash.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from platform_spec.shapes import EACH_ONCE, EXACTLY_ONE, PHRASE

Schema = dict[str, Any]

_KEPT = (
    "type", "format", "enum", "minimum", "exclusiveMinimum", "maximum", "multipleOf", "pattern",
    "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "required",
)  # fmt: skip
_READ = ("description", "properties", "items", "additionalProperties", "patternProperties", "$ref")
_MARKS = (PHRASE, EACH_ONCE, EXACTLY_ONE)
_UNSAID = ("title", "default", "propertyNames", "$defs", "anyOf", "const")
_KNOWN = frozenset((*_KEPT, *_READ, *_MARKS, *_UNSAID))
_EXPECTED = "Expected: "
_UNTYPED = {"x-kubernetes-preserve-unknown-fields": True}


@dataclass(frozen=True, slots=True)
class Rule:
    """A CEL rule on an object; the message says what was expected."""

    rule: str
    message: str
    field: str = ""  # below the object, as in .capital.amount

    def written(self) -> Schema:
        place = {"fieldPath": self.field} if self.field else {}
        return {"rule": self.rule, "message": self.message, **place}


@dataclass(frozen=True, slots=True)
class Extras:
    """What models do not say: rules by model, and how lists are merged, by name of the field."""

    rules: Mapping[str, Sequence[Rule]]
    keys: Mapping[str, str]  # a list of objects that each have a key of their own


def structural(schema: Mapping[str, Any], extras: Extras) -> Schema:
    """The structural schema of a model's JSON schema."""
    return _Walk(schema.get("$defs", {}), extras).part(schema, schema.get("title", ""))


@dataclass(frozen=True, slots=True)
class _Walk:
    definitions: Mapping[str, Any]
    extras: Extras

    def part(self, schema: Mapping[str, Any], name: str) -> Schema:
        """One value; `name` is that of its field or model."""
        if unknown := schema.keys() - _KNOWN:
            raise ValueError(f"{name}: {', '.join(sorted(unknown))}, expected words of {_KNOWN}")
        if "anyOf" in schema:
            return self._described(schema, self._written_one(schema, name))
        if "$ref" in schema:
            model = schema["$ref"].rpartition("/")[2]
            return self._described(schema, self._model(model, name))
        written = {word: schema[word] for word in _KEPT if word in schema}
        if "type" not in schema:
            written |= _UNTYPED
        if schema.get("type") == "integer":
            written["format"] = "int64"
        return self._described(schema, written | self._inner(schema, name))

    def _written_one(self, schema: Mapping[str, Any], name: str) -> Schema:
        """Of `X | None`: X. The API server drops null."""
        (written,) = (each for each in schema["anyOf"] if each != {"type": "null"})
        return self.part(written, name)

    def _model(self, model: str, name: str) -> Schema:
        written = self.part(self.definitions[model], name)
        rules = [rule.written() for rule in self.extras.rules.get(model, ())]
        rules = written.pop("x-kubernetes-validations", []) + rules
        return written | ({"x-kubernetes-validations": rules} if rules else {})

    def _inner(self, schema: Mapping[str, Any], name: str) -> Schema:
        if "properties" in schema:
            return self._object(schema)
        if "items" in schema:
            return self._list(schema, name)
        if "patternProperties" in schema:
            (values,) = schema["patternProperties"].values()
            return {"additionalProperties": self.part(values, name)} if values else dict(_UNTYPED)
        if schema.get("additionalProperties"):
            return {"additionalProperties": self.part(schema["additionalProperties"], name)}
        return {}

    def _object(self, schema: Mapping[str, Any]) -> Schema:
        parts = {name: self.part(part, name) for name, part in schema["properties"].items()}
        if EXACTLY_ONE not in schema:
            return {"properties": parts}
        written = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in parts)
        rule = Rule(f"{written} == 1", f"expected exactly one of {', '.join(parts)}")
        return {"properties": parts, "x-kubernetes-validations": [rule.written()]}

    def _list(self, schema: Mapping[str, Any], name: str) -> Schema:
        items = self.part(schema["items"], name)
        key = self.extras.keys.get(name)
        merged = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}
        written = {"items": items, **(merged if key else {"x-kubernetes-list-type": "atomic"})}
        if EACH_ONCE not in schema:
            return written
        rule = Rule(
            "self.all(one, self.exists_one(other, other == one))", "expected each only once"
        )
        return written | {"x-kubernetes-validations": [rule.written()]}

    def _described(self, schema: Mapping[str, Any], written: Schema) -> Schema:
        """The field's own description, then the phrase that its values are refused with."""
        own = schema.get("description", "")
        inner = written.pop("description", "")
        if PHRASE in schema:
            inner = f"{_EXPECTED}{schema[PHRASE]}."
        if own and inner:
            inner = f" {inner}" if inner.startswith(_EXPECTED) else ""
        return {"description": f"{own}{inner}", **written} if own or inner else written
