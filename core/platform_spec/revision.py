"""A revision is content: the SHA-256 of what was written and of the code it names.

What is not written is not hashed (the code digest covers the defaults of parameters), nor are
labels, comments, rollout, resources, the risk policy's name, or how a number is spelled.
"""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from platform_spec.decimals import number, spelling
from platform_spec.strategy import Runnable, Spec

_NAME_LENGTH = 10


def content(spec: Spec, code_digest: str) -> Mapping[str, Any]:
    """What a revision of `spec` is made of, ready for `canonical`."""
    written = spec.model_dump(mode="python", by_alias=True, exclude_none=True)
    return {
        "strategy": written["strategy"],
        "code_digest": code_digest,
        "version": written.get("version", ""),
        "parameters": normalised(written.get("parameters", {})),
        "limits": written.get("risk", {}).get("limits", {}),
        "symbols": written["symbols"],
        "feed": written.get("feed", {}),
        "mode": written.get("mode", ""),
        "capital": written.get("capital", {}),
        "account": written.get("account", ""),
    }


def revision_name(spec: Spec, code_digest: str) -> str:
    """The first ten hex digits of the content's hash."""
    return sha256(content(spec, code_digest))[:_NAME_LENGTH]


def state_key(spec: Spec, code_digest: str) -> str:
    """Equal for two revisions that can hand a snapshot of their state to each other."""
    return sha256(
        {
            "code_digest": code_digest,
            "entry": _entry(spec.strategy),
            "parameters": normalised(spec.parameters or {}),
            "symbols": spec.symbols,
        }
    )


def _entry(strategy: Runnable) -> str:
    """Which class of the code runs; a single file has but one."""
    return strategy.builtin or strategy.class_ or ""


def sha256(value: Any) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()


def canonical(value: Any) -> bytes:
    """JSON in one spelling: sorted keys, no spaces, UTF-8, decimals as strings, no floats."""
    text = json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
        default=_decimal_text,
    )
    return text.encode()


def normalised(value: Any) -> Any:
    """`value` with every number in it as its decimal string, so that `0.1` is `"0.1"`.

    Text stays as it is: "1.10" may be a name.
    """
    if isinstance(value, Mapping):
        return {key: normalised(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [normalised(each) for each in value]
    exact = None if isinstance(value, str) else number(value)
    return value if exact is None else spelling(exact)


def _decimal_text(value: object) -> str:
    if isinstance(value, Decimal):
        return spelling(value)
    raise TypeError(f"{value!r}: expected what JSON can say")
