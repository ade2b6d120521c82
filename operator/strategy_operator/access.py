"""How the API server is reached: from inside a pod, or by a kubeconfig.

The token is read from its file at each request, for the kubelet writes a new one every hour.
"""

import base64
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class InvalidAccess(ValueError):
    """A kubeconfig or a pod's environment that leads to no API server."""


@dataclass(frozen=True, slots=True)
class Access:
    server: str  # https://host:port, no path after it
    tls: ssl.SSLContext | None
    token: Callable[[], str]  # empty: the certificate says who asks

    def headers(self) -> Mapping[str, str]:
        token = self.token()
        return {"Authorization": f"Bearer {token}"} if token else {}


def found(kubeconfig: Path | None, environ: Mapping[str, str]) -> Access:
    """Raises InvalidAccess."""
    return from_kubeconfig(kubeconfig) if kubeconfig is not None else in_pod(environ)


def in_pod(environ: Mapping[str, str], folder: Path = _SERVICE_ACCOUNT) -> Access:
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not (folder / "token").exists():
        raise InvalidAccess("no KUBECONFIG and not in a pod with a ServiceAccount: no API server")
    shown = f"[{host}]" if ":" in host else host
    tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    return Access(f"https://{shown}:{port or 443}", tls, lambda: _read(folder / "token"))


def from_kubeconfig(path: Path) -> Access:
    """Of its current context. Certificates, tokens and token files; no plugins."""
    try:
        config = yaml.safe_load(path.read_text())
        context = _named(config, "contexts", "context", config["current-context"])
        cluster = _named(config, "clusters", "cluster", context["cluster"])
        user = _named(config, "users", "user", context["user"])
        return Access(cluster["server"].rstrip("/"), _tls(path, cluster, user), _token(path, user))
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise InvalidAccess(f"{path}: {error!r}, expected a kubeconfig") from error


def _named(config: Mapping[str, Any], kinds: str, kind: str, name: str) -> Mapping[str, Any]:
    for each in config[kinds]:
        if each["name"] == name:
            found: Mapping[str, Any] = each[kind]
            return found
    raise InvalidAccess(f"{kinds}: none is named {name!r}")


def _token(path: Path, user: Mapping[str, Any]) -> Callable[[], str]:
    if "exec" in user or "auth-provider" in user:
        raise InvalidAccess("a plugin; expected a certificate, a token or a tokenFile")
    if "tokenFile" in user:
        file = path.parent / user["tokenFile"]
        return lambda: _read(file)
    fixed = str(user.get("token", ""))
    return lambda: fixed


def _read(file: Path) -> str:
    return file.read_text().strip()


def _tls(path: Path, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext | None:
    if cluster["server"].startswith("http://"):
        return None
    ca = _pem(path, cluster, "certificate-authority")
    tls = ssl.create_default_context(cadata=ca.decode() if ca else None)
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    certificate, key = _pem(path, user, "client-certificate"), _pem(path, user, "client-key")
    if certificate and key:
        with tempfile.NamedTemporaryFile() as file:  # ssl takes a client's key from a file only
            file.write(certificate + b"\n" + key)
            file.flush()
            tls.load_cert_chain(file.name)
    return tls


def _pem(path: Path, source: Mapping[str, Any], name: str) -> bytes:
    if f"{name}-data" in source:
        return base64.b64decode(source[f"{name}-data"])
    return (path.parent / source[name]).read_bytes() if name in source else b""
