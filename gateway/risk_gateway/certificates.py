"""`python -m risk_gateway.certificates`: the gateway has a certificate, and runners can check it.

Made where none is, where it grows old or is for other names: the Secret `stratops-gateway-tls` and
the ConfigMap `stratops-gateway-ca`. The CA's key is thrown away at once: nobody can sign with it.
"""

import asyncio
import base64
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from risk_gateway.api_server import ApiRefused, ApiServer, ApiUnavailable
from risk_gateway.authority import Bundle, make, trusted, why_not
from risk_gateway.settings import api_access
from stratops_process import ending
from stratops_process.environment import InvalidSettings

SECRET, CONFIG_MAP = "stratops-gateway-tls", "stratops-gateway-ca"
NAME = "risk_gateway.certificates"
LABELS = {
    "app.kubernetes.io/part-of": "stratops",
    "app.kubernetes.io/managed-by": "stratops-certificates",
}
_ATTEMPTS = 10
_WAIT_S = 1.0
_MISSING, _CONFLICT = 404, 409


class ForeignSecret(Exception):
    """A Secret of that name that is not ours to change, and that will not do."""


class Store:
    """The two objects, in their namespace."""

    def __init__(self, api: ApiServer, namespace: str) -> None:
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}"
        self._namespace = namespace

    async def ensure(self, names: Sequence[str], now: datetime) -> str:
        """What was done. Raises ForeignSecret, ApiUnavailable, ApiRefused."""
        secret = await self._get("secrets", SECRET)
        shown = await self._get("configmaps", CONFIG_MAP)
        found = _bundle(secret)
        wrong = why_not(found, names, now) if found else "there is none"
        if not wrong and found:
            return await self._show(shown, found.ca, "good as it is")
        if secret is not None and not _is_ours(secret):
            raise ForeignSecret(f"secret {SECRET}: {wrong}, and it is not ours to change")
        fresh = make(names, now)
        # Shown first: whoever reads it before the gateway has it checks by either.
        before = _text(shown, "ca.crt")
        await self._show(shown, trusted(fresh.ca, before, now), "")
        await self._write("secrets", SECRET, secret, _secret_data(fresh), "kubernetes.io/tls")
        return f"made: {wrong}"

    async def _show(self, shown: Mapping[str, Any] | None, ca: bytes, good: str) -> str:
        if good and ca.strip() in _text(shown, "ca.crt"):
            return good
        await self._write("configmaps", CONFIG_MAP, shown, {"ca.crt": ca.decode()})
        return f"{good}, shown again"

    async def _get(self, kind: str, name: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = await self._api.get(f"{self._path}/{kind}/{name}")
        except ApiRefused as refused:
            if refused.status == _MISSING:
                return None
            raise
        return found

    async def _write(
        self,
        kind: str,
        name: str,
        before: Mapping[str, Any] | None,
        data: Mapping[str, str],
        type_: str = "",
    ) -> None:
        """Refused with a conflict when somebody else was faster."""
        metadata: dict[str, Any] = {"name": name, "namespace": self._namespace, "labels": LABELS}
        if before is not None:
            metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
            type_ = before.get("type", "")  # cannot be changed
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret" if kind == "secrets" else "ConfigMap",
            "metadata": metadata,
            "data": data,
            **({"type": type_} if type_ else {}),
        }
        if before is None:
            await self._api.call("POST", f"{self._path}/{kind}", body)
        else:
            await self._api.call("PUT", f"{self._path}/{kind}/{name}", body)


def _bundle(secret: Mapping[str, Any] | None) -> Bundle | None:
    data = (secret or {}).get("data") or {}
    try:
        parts = [base64.b64decode(data[name]) for name in ("tls.crt", "tls.key", "ca.crt")]
    except (KeyError, ValueError):
        return None
    return Bundle(*parts)


def _secret_data(bundle: Bundle) -> Mapping[str, str]:
    parts = {"tls.crt": bundle.certificate, "tls.key": bundle.key, "ca.crt": bundle.ca}
    return {name: base64.b64encode(part).decode() for name, part in parts.items()}


def _is_ours(found: Mapping[str, Any]) -> bool:
    label = "app.kubernetes.io/managed-by"
    return (found["metadata"].get("labels") or {}).get(label) == LABELS[label]


def _text(config_map: Mapping[str, Any] | None, key: str) -> bytes:
    return str(((config_map or {}).get("data") or {}).get(key, "")).encode()


# ---- the process


async def ensured(environ: Mapping[str, str]) -> str:
    """Tries again what may pass. Raises InvalidSettings, ForeignSecret, ApiUnavailable,
    ApiRefused.
    """
    namespace, names = _setting(environ, "NAMESPACE"), _setting(environ, "TLS_NAMES")
    listed = [name.strip() for name in names.split(",") if name.strip()]
    async with ApiServer(api_access(environ)) as api:
        for attempt in range(_ATTEMPTS):
            try:
                return await Store(api, namespace).ensure(listed, datetime.now(UTC))
            except (ApiUnavailable, ApiRefused) as error:
                if attempt + 1 == _ATTEMPTS or not _may_pass(error):
                    raise
                await asyncio.sleep(_WAIT_S)
    raise AssertionError("unreachable")


def _may_pass(error: ApiUnavailable | ApiRefused) -> bool:
    return not isinstance(error, ApiRefused) or error.status == _CONFLICT or error.status >= 500


def _setting(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(f"STRATOPS_{name}", "").strip()
    if not value:
        raise InvalidSettings(f"STRATOPS_{name}: not set, expected a value")
    return value


def main() -> int:
    ending.at_once(lambda _: ending.leave(NAME, "asked to end", 143))
    try:
        done = asyncio.run(ensured(os.environ))
    except (InvalidSettings, ForeignSecret, ApiUnavailable, ApiRefused) as error:
        ending.say(NAME, str(error))
        return 1
    ending.say(NAME, f"{SECRET}: {done}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
