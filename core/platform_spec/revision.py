"""A revision is content: the SHA-256 of what was written and of the code it names.

What is not written is not hashed (the code digest covers the defaults of parameters), nor are
labels, comments, rollout, resources, the risk policy's name, or how a number is spelled.

`revise(ref, spec, code)` answers with the revision and the two JSON documents that it is told as.
Both are canonical: sorted keys, no spaces, UTF-8, no floats; quantities and money are decimal
strings. `content`, for the gateway's Deploy (limits with the values in force, lists of symbols):

    {"strategy": "desk-a/btc-momentum", "revision": "0123456789", "state_key": "<64 hex>",
     "code_digest": "<64 hex>", "version": "1.4.0", "symbols": ["BTCUSDT"],
     "mode": "observation|simulation|live", "account": "" or a name,
     "capital": {"amount": "100000", "currency": "USDT"},
     "limits": {"allowed_symbols": [], "blocked_symbols": [], "max_order_value": "50000",
                "max_position_size": "1000", "max_daily_loss": "5000", "max_drawdown": "0.1",
                "min_account_balance": "10000", "max_orders_per_second": "10",
                "max_orders_per_minute": "100", "min_confidence": "0.6"},
     "policy": "" or a name, "rollout": {"type": "Rolling", "workingOrders": "Cancel|Keep" or null},
     "parameters": {...as written, numbers as decimal strings...}}

`runner`, for the file named by STRATOPS_SPEC (`null` where nothing applies):

    {"strategy": ref, "revision": ..., "state_key": ...,
     "code_digest": ... ("": there is nothing to compare), "version": ...,
     "source": {"builtin": "momentum"} | {"class": "package.module:Class"}
               | {"inline": "<the code>", "name": "<path or name, for messages>"},
     "parameters": {"lookback_period": "200", "allow_short": false, ...},  (numbers as text)
     "symbols": ["BTCUSDT"], "channels": ["market:btcusdt"], "mode": ...,
     "rollout": {"workingOrders": "Cancel|Keep" or null},
     "redis_url": "redis://..." (absent: the desk's feed), "manifest_dir": "/folder" (or absent)}

Channels have their symbol filled in; one with `*`, `?` or `[` is a pattern.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from platform_spec.code import Code
from platform_spec.decimals import number, spelling
from platform_spec.strategy import Runnable, Spec

_NAME_LENGTH = 10


@dataclass(frozen=True, slots=True)
class Revision:
    """What a strategy is at one moment, self-contained."""

    strategy: str  # its reference
    name: str  # the first ten hex digits of the hash
    hash: str
    code_digest: str
    state_key: str
    content: str  # what the gateway is told
    runner: str  # what a runner is told
    image: str  # of the runner; "": the one that ships


def revise(
    ref: str, spec: Spec, code: Code, *, redis_url: str = "", manifest_dir: str = ""
) -> Revision:
    """The revision of `spec` with this code. With `redis_url`, all data comes from there; without,
    from the feed of the spec, else from that of the desk."""
    digest = sha256(content(spec, code.digest))
    identity = {
        "strategy": ref,
        "revision": digest[:_NAME_LENGTH],
        "state_key": state_key(spec, code.digest),
        "code_digest": code.digest,
        "version": spec.version or "",
        "symbols": spec.symbols,
        "mode": spec.mode_in_force(),
        "parameters": normalised(spec.parameters or {}),
    }
    runner = _runner(spec, code, redis_url or spec.feed_url, manifest_dir)
    return Revision(
        strategy=ref,
        name=digest[:_NAME_LENGTH],
        hash=digest,
        code_digest=code.digest,
        state_key=identity["state_key"],
        content=canonical({**identity, **_terms(spec)}).decode(),
        runner=canonical({**identity, **runner}).decode(),
        image=spec.image or "",
    )


def _terms(spec: Spec) -> Mapping[str, Any]:
    """What the gateway holds a revision to."""
    capital, rollout = spec.capital_in_force(), spec.rollout
    return {
        "capital": {"amount": capital.amount, "currency": capital.currency},
        "limits": spec.limits_in_force(),
        "account": spec.account or "",
        "policy": (spec.risk and spec.risk.policy) or "",
        "rollout": {"type": (rollout and rollout.type) or "Rolling", **_working_orders(spec)},
    }


def _runner(spec: Spec, code: Code, redis_url: str, manifest_dir: str) -> Mapping[str, Any]:
    """What a runner needs beside the identity of its revision."""
    places = {"redis_url": redis_url, "manifest_dir": manifest_dir}
    return {
        "source": code.source,
        "code_digest": code.digest if code.comparable else "",
        "channels": spec.channels_in_force(),
        "rollout": _working_orders(spec),
        **{name: place for name, place in places.items() if place},
    }


def _working_orders(spec: Spec) -> Mapping[str, Any]:
    return {"workingOrders": spec.rollout.working_orders if spec.rollout else None}


def content(spec: Spec, code_digest: str) -> Mapping[str, Any]:
    """What a revision of `spec` is made of, ready for `canonical`."""
    written = spec.model_dump(mode="python", by_alias=True, exclude_none=True)
    image = {"image": written["image"]} if "image" in written else {}
    return image | {
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
