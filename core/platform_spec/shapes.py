"""The written forms that fields take: names, symbols, addresses, decimals.

Each has a phrase that tells a person what is wanted; a value of another form is refused with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from platform_spec.decimals import LONGEST, MOST_DIGITS, NUMBER_TEXT, number, spelling

# What a JSON schema has no word for, in the schemas of the models.
PHRASE = "x-phrase"
EACH_ONCE = "x-each-once"
EXACTLY_ONE = "x-exactly-one"

WRONG = "wrong"  # the type of our own errors; their context has `expected`, and maybe `field`


def wrong(expected: str, *, field: str = "") -> PydanticCustomError:
    """A validator's error: what was expected of its value, or of the `field` below it."""
    return PydanticCustomError(WRONG, "expected {expected}", {"expected": expected, "field": field})


@dataclass(frozen=True, slots=True)
class Shape:
    """Text of one pattern, at most `longest` characters; with `or_number` a plain number too."""

    pattern: str
    phrase: str
    longest: int = 63
    or_number: bool = False

    @property
    def expected(self) -> str:
        return f"{self.phrase}; at most {self.longest} characters"

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        text: CoreSchema = core_schema.str_schema(
            pattern=self._anchored, min_length=0, max_length=self.longest, strict=True
        )
        if self.or_number:
            text = core_schema.no_info_before_validator_function(_number_as_text, text)
        return _refused_with(self.expected, text)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        text = {"pattern": self._anchored, "maxLength": self.longest, PHRASE: self.expected}
        return text | ({"minimum": 0} if self.or_number else {"type": "string"})

    @property
    def _anchored(self) -> str:
        return f"^(?:{self.pattern})$"


def _refused_with(expected: str, schema: CoreSchema) -> CoreSchema:
    return core_schema.custom_error_schema(
        schema,
        custom_error_type=WRONG,
        custom_error_message="expected {expected}",
        custom_error_context={"expected": expected},
    )


def _number_as_text(value: object) -> object:
    """Kubernetes takes a plain number where a quantity is text: `cpu: 1`."""
    exact = None if isinstance(value, str) else number(value)
    return value if exact is None else spelling(exact)


_DNS = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_PYTHON_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_HOST = r"[A-Za-z0-9._\[\]:-]+"  # no user info: secrets do not belong in manifests
_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
_CHANNEL = r"([^\s,{}]|\{symbol\})+"  # commas separate channels in the environment
_PLACEHOLDER = "without spaces and commas, {symbol} standing for each symbol"

MOST_LABELS = 64  # of one resource

Text = Annotated[str, Shape(r"(?s:.+)", "text", 253)]
Note = Annotated[str, Shape(r"(?s:.*)", "text", 4_096)]
Reason = Annotated[str, Shape(r"(?s:.*)", "text", 1_024)]
Document = Annotated[str, Shape(r"(?s:.+)", "a JSON document", 1_000_000)]
Sha256 = Annotated[str, Shape(r"[0-9a-f]{64}", "64 hex digits", 64)]
RevisionName = Annotated[str, Shape(r"[0-9a-f]{10}", "ten hex digits", 10)]
Name = Annotated[str, Shape(_DNS, "lower-case letters, digits and '-' within", 40)]
Namespace = Annotated[str, Shape(_DNS, "lower-case letters, digits and '-' within")]
ObjectName = Annotated[
    str, Shape(rf"{_DNS}(\.{_DNS})*", "an object's name: lower-case letters, digits, '-', '.'", 253)
]
DataKey = Annotated[str, Shape(r"[-._A-Za-z0-9]+", "a key: letters, digits, '-', '_', '.'", 253)]
LabelKey = Annotated[
    str, Shape(rf"({_DNS}(\.{_DNS})*/)?{_LABEL}", "a key, as in app or example.com/app", 317)
]
LabelValue = Annotated[str, Shape(rf"({_LABEL})?", "letters, digits, '-', '_', '.'")]
BuiltinName = Annotated[str, Shape(r"[a-z][a-z0-9_]*", "lower-case letters, digits, '_'")]
ClassPath = Annotated[
    str,
    Shape(
        rf"{_PYTHON_NAME}(\.{_PYTHON_NAME})*:{_PYTHON_NAME}",
        "module:Class, as in my_package.momentum:Momentum",
        253,
    ),
]
ParameterName = Annotated[str, Shape(_PYTHON_NAME, "a Python name", 64)]
Image = Annotated[
    str, Shape(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*", "an image, as in example/momentum:1.4", 512)
]
Version = Annotated[
    str, Shape(r"[A-Za-z0-9][A-Za-z0-9._+-]*", "a version as text, as in 1.4.0 or '1.4'")
]
Symbol = Annotated[str, Shape(r"[A-Z0-9][A-Z0-9._-]*", "a symbol in upper case, as in BTCUSDT", 32)]
Currency = Annotated[str, Shape(r"[A-Z][A-Z0-9]*", "a currency in upper case, as in USDT", 12)]
TimeZone = Annotated[
    str,
    Shape(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", "the name of a time zone, as in Europe/London"),
]
RedisUrl = Annotated[
    str, Shape(rf"rediss?://{_HOST}(/[0-9]+)?", "redis://host:port, no user, no password", 512)
]
NatsUrl = Annotated[
    str, Shape(rf"(nats|tls)://{_HOST}", "nats://host:port, no user, no password", 512)
]
Channel = Annotated[str, Shape(_CHANNEL, f"a channel {_PLACEHOLDER}", 255)]
Subject = Annotated[str, Shape(_CHANNEL, f"a subject {_PLACEHOLDER}", 255)]


Cpu = Annotated[
    str,
    Shape(r"[0-9]{1,9}m|[0-9]{1,6}(\.[0-9]{1,3})?", "processors, as in 50m or 0.5", or_number=True),
]
Memory = Annotated[
    str,
    Shape(r"[0-9]{1,18}(Ki|Mi|Gi|Ti|k|M|G|T)?", "bytes, as in 128Mi", or_number=True),
]


_UNITS = {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
}


def processors_of(cpu: str) -> Decimal:
    """The processors that a Cpu means."""
    return Decimal(cpu[:-1]) / 1000 if cpu.endswith("m") else Decimal(cpu)


def bytes_of(memory: str) -> int:
    """The bytes that a Memory means."""
    digits = memory.rstrip("KMGTik")
    return int(digits) * _UNITS.get(memory[len(digits) :], 1)


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number between two bounds, written as a number: `60` or `60.0`."""

    least: int
    most: int

    @property
    def phrase(self) -> str:
        return f"a whole number from {self.least} to {self.most}"

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        bounded = core_schema.int_schema(ge=self.least, le=self.most)
        plain = core_schema.no_info_before_validator_function(_no_text, bounded)
        return _refused_with(self.phrase, plain)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


def _no_text(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("no number")  # noqa: TRY004  # pydantic expects a ValueError
    return value


Seconds = Annotated[int, Whole(0, 86_400)]
DeadlineSeconds = Annotated[int, Whole(1, 3_600)]
HistoryLimit = Annotated[int, Whole(0, 100)]
Hour = Annotated[int, Whole(0, 23)]


@dataclass(frozen=True, slots=True)
class Within:
    """A decimal number between two bounds, written as a number or as decimal text."""

    phrase: str
    above: Decimal | None = None
    least: Decimal | None = None
    most: Decimal | None = None
    whole: bool = False

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        bounded = core_schema.decimal_schema(
            gt=self.above,
            ge=self.least,
            le=self.most,
            multiple_of=Decimal(1) if self.whole else None,
        )
        exact = core_schema.no_info_before_validator_function(_exact, bounded)
        return _refused_with(self.phrase, exact)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Without a type: no schema of Kubernetes has one for a number that may be text."""
        bounds: dict[str, Any] = {"pattern": NUMBER_TEXT, "maxLength": LONGEST, PHRASE: self.phrase}
        lowest = self.least if self.above is None else self.above
        if lowest is not None:
            bounds["minimum"] = int(lowest)
        if self.above is not None:
            bounds["exclusiveMinimum"] = True
        if self.most is not None:
            bounds["maximum"] = int(self.most)
        return bounds | ({"multipleOf": 1} if self.whole else {})


def _exact(value: object) -> Decimal:
    exact = number(value)
    if exact is None:
        raise ValueError(f"not a decimal number of at most {MOST_DIGITS} digits")
    return exact


_ZERO, _ONE = Decimal(0), Decimal(1)
Positive = Annotated[Decimal, Within('a number above 0, as in "50000"', above=_ZERO)]
NotNegative = Annotated[Decimal, Within('a number, 0 or more, as in "10000"', least=_ZERO)]
Fraction = Annotated[Decimal, Within("a number from 0 to 1", least=_ZERO, most=_ONE)]
Share = Annotated[Decimal, Within("a number above 0, at most 1", above=_ZERO, most=_ONE)]
Rate = Annotated[
    Decimal, Within("a whole number from 1 to 1000000", least=_ONE, most=Decimal(10**6), whole=True)
]

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class EachOnce:
    """No item of a list is written twice."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_each_once, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), EACH_ONCE: True}


def _each_once(items: Sequence[Item]) -> Sequence[Item]:
    for place, item in enumerate(items):
        if item in items[:place]:
            raise wrong(f"each only once; {item} is written twice")
    return items


Symbols = Annotated[tuple[Symbol, ...], Field(min_length=1, max_length=64), EachOnce()]
SymbolSet = Annotated[tuple[Symbol, ...], Field(max_length=256), EachOnce()]
Channels = Annotated[tuple[Channel, ...], Field(min_length=1, max_length=64), EachOnce()]
Subjects = Annotated[tuple[Subject, ...], Field(min_length=1, max_length=64), EachOnce()]
CodeText = Annotated[
    str, Shape(r"(?s:.+)", "the code of a strategy", 900_000)
]  # a ConfigMap ends at 1 MiB
