"""A cluster's identity in a test's hand: signing keys, ServiceAccount tokens, and a real HTTPS
server that has the public half, as an API server has it.
"""

import json
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from risk_gateway.authority import Bundle, make
from risk_gateway.settings import ApiAccess
from stratops_wire.audience import audience_of

ISSUER = "https://kubernetes.default.svc.cluster.local"
NAMESPACE = "desk-a"
AUDIENCE = audience_of(NAMESPACE)
OPERATOR = f"system:serviceaccount:{NAMESPACE}:stratops-operator"
RUNNER = f"system:serviceaccount:{NAMESPACE}:stratops-runner"


_KEYS: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
}


class Signer:
    """One of the cluster's keys."""

    def __init__(self, kid: str = "first", alg: str = "RS256") -> None:
        self.kid, self.alg = kid, alg

    @cached_property
    def key(self) -> Any:
        """Made when it is first used: an RSA key takes long, and most workers need but a few."""
        return _KEYS[self.alg]()

    @property
    def public(self) -> dict[str, Any]:
        """As a JWKS has it."""
        found: dict[str, Any] = json.loads(
            jwt.get_algorithm_by_name(self.alg).to_jwk(self.key.public_key())
        )
        return {**found, "kid": self.kid, "alg": self.alg, "use": "sig", "key_ops": ["verify"]}

    def sign(self, claims: Mapping[str, Any], alg: str = "", **header: Any) -> str:
        headers = {"kid": self.kid, **header}
        return jwt.encode(dict(claims), self.key, alg or self.alg, headers=headers)

    def token(self, subject: str = RUNNER, pod: str = "", uid: str = "", **claims: Any) -> str:
        """As the API server makes it; without a pod as `kubectl create token` does."""
        return self.sign(claims_of(subject, pod, uid) | claims)


def claims_of(subject: str = RUNNER, pod: str = "", uid: str = "") -> dict[str, Any]:
    now = int(time.time())
    namespace, name = subject.split(":")[2:4]
    of_pod = {"pod": {"name": pod, "uid": uid or f"uid-of-{pod}"}} if pod else {}
    return {
        "aud": [AUDIENCE], "exp": now + 600, "iat": now, "nbf": now, "iss": ISSUER,
        "jti": "1", "sub": subject,
        "kubernetes.io": {
            "namespace": namespace, "serviceaccount": {"name": name, "uid": "u"}, **of_pod,
        },
    }  # fmt: skip


def document(*signers: Signer) -> dict[str, Any]:
    """What is kept of an issuer and its keys."""
    return {"issuer": ISSUER, "keys": [signer.public for signer in signers]}


class KeyServer:
    """`/openid/v1/jwks`, discovery and TokenReview over TLS. `stop` and `start` it."""

    def __init__(self, folder: Path, port: int, *signers: Signer) -> None:
        folder.mkdir()
        self.folder, self.port = folder, port
        self.signers = list(signers)
        self.asked = 0  # for keys
        self.people: dict[str, dict[str, Any]] = {}  # by token, as TokenReview has them
        self.reviewed = 0
        self.bundle = make(["127.0.0.1"], datetime.now(UTC))
        write_bundle(folder, self.bundle)
        (folder / "token").write_text("the gateway's own")
        self._runner: web.AppRunner | None = None

    @property
    def access(self) -> ApiAccess:
        server = f"https://127.0.0.1:{self.port}"
        return ApiAccess(server, self.folder / "ca.crt", self.folder / "token")

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/openid/v1/jwks", self._keys)
        app.router.add_post("/apis/authentication.k8s.io/v1/tokenreviews", self._review)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._trust()).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = None

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
        return context

    async def _discovery(self, _: web.Request) -> web.Response:
        return web.json_response({"issuer": ISSUER, "jwks_uri": "https://elsewhere/keys"})

    async def _review(self, request: web.Request) -> web.Response:
        self.reviewed += 1
        user = self.people.get((await request.json())["spec"]["token"])
        status = {"authenticated": True, "user": user} if user else {"error": "no"}
        return web.json_response({"status": status}, status=201)

    async def _keys(self, request: web.Request) -> web.Response:
        if "application/jwk-set+json" not in request.headers["Accept"]:
            return web.Response(status=406)
        self.asked += 1
        return web.json_response({"keys": [signer.public for signer in self.signers]})


def write_bundle(folder: Path, bundle: Bundle) -> None:
    """As the kubelet mounts the Secret."""
    folder.mkdir(exist_ok=True)
    (folder / "tls.crt").write_bytes(bundle.certificate)
    (folder / "tls.key").write_bytes(bundle.key)
    (folder / "ca.crt").write_bytes(bundle.ca)
