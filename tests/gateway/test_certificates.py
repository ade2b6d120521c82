"""The gateway's certificate: what is made, what will do, and that the API server keeps it."""

import base64
import json
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from cluster_gateway import Namespace
from dev_cluster.cluster import Cluster
from risk_gateway.authority import LIFE, Bundle, make, trusted, why_not

NOW = datetime(2026, 11, 21, tzinfo=UTC)
NAMES = ["stratops-gateway.trading.svc", "10.1.2.3"]
MADE, OTHER = make(NAMES, NOW), make(NAMES, NOW)


def test_what_was_made_will_do() -> None:
    assert why_not(MADE, NAMES, NOW) == ""
    assert why_not(MADE, NAMES[:1], NOW) == ""


@pytest.mark.parametrize(
    ("bundle", "names", "later", "why"),
    [
        pytest.param(MADE, ["other.svc"], timedelta(), "not for other.svc", id="other names"),
        pytest.param(MADE, NAMES, LIFE - timedelta(days=29), "ends on 2036-11-18", id="old"),
        pytest.param(
            Bundle(MADE.certificate, OTHER.key, MADE.ca), NAMES, timedelta(),
            "its key is another one", id="another key",
        ),
        pytest.param(
            Bundle(MADE.certificate, MADE.key, OTHER.ca), NAMES, timedelta(),
            "its CA is another one", id="another CA",
        ),
        pytest.param(Bundle(b"", b"", b""), NAMES, timedelta(), "cannot be read", id="nothing"),
        pytest.param(
            Bundle(MADE.certificate, b"junk", MADE.ca), NAMES, timedelta(),
            "cannot be read", id="junk",
        ),
    ],
)  # fmt: skip
def test_what_will_not_do_says_why(
    bundle: Bundle, names: list[str], later: timedelta, why: str
) -> None:
    assert why_not(bundle, names, NOW + later).startswith(why)


def test_the_ca_signs_nothing_but_leaves_and_the_leaf_nothing() -> None:
    ca, leaf = (x509.load_pem_x509_certificate(pem) for pem in (MADE.ca, MADE.certificate))
    limits = [c.extensions.get_extension_for_class(x509.BasicConstraints).value for c in (ca, leaf)]
    assert [(each.ca, each.path_length) for each in limits] == [(True, 0), (False, None)]


def test_the_ca_before_is_trusted_beside_the_new_one() -> None:
    found = x509.load_pem_x509_certificates(trusted(MADE.ca, OTHER.ca, NOW))
    assert len(found) == 2
    assert trusted(MADE.ca, MADE.ca, NOW) == trusted(MADE.ca, b"junk", NOW) == MADE.ca
    assert trusted(MADE.ca, OTHER.ca, NOW + LIFE) == MADE.ca


def test_openssl_takes_it(tmp_path: Path) -> None:
    for name, pem in (("crt", MADE.certificate), ("key", MADE.key)):
        (tmp_path / name).write_bytes(pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    assert ssl.create_default_context(cadata=MADE.ca.decode()).get_ca_certs()


# ---- by the command, with a Role as narrow as the chart's

RULES = (
    {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["stratops-gateway-tls"],
     "verbs": ["get", "update"]},
    {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["stratops-gateway-ca"],
     "verbs": ["get", "update"]},
)  # fmt: skip


class Hook:
    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        namespace.account("stratops-certificates", *RULES)
        self.access = namespace.access("stratops-certificates")

    def run(self, *names: str) -> str:
        """Its last line."""
        environment = {
            "STRATOPS_NAMESPACE": self.namespace.name, "STRATOPS_TLS_NAMES": ",".join(names),
            "STRATOPS_API_SERVER": self.access.server, "STRATOPS_API_CA": str(self.access.ca),
            "STRATOPS_API_TOKEN_FILE": str(self.access.token_file),
        }  # fmt: skip
        command = [sys.executable, "-P", "-m", "risk_gateway.certificates"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        return f"{done.returncode} {done.stderr.splitlines()[-1]}"

    def get(self, what: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.namespace.kubectl("get", what, "-o", "json"))
        return found

    @property
    def bundle(self) -> Bundle:
        data = self.get("secret/stratops-gateway-tls")["data"]
        return Bundle(*(base64.b64decode(data[each]) for each in ("tls.crt", "tls.key", "ca.crt")))

    @property
    def ca(self) -> bytes:
        shown: str = self.get("configmap/stratops-gateway-ca")["data"]["ca.crt"]
        return shown.encode()


@pytest.fixture
def hook(cluster: Cluster, namespace: str, tmp_path: Path) -> Hook:
    return Hook(Namespace(cluster, namespace, tmp_path / "cluster"))


@pytest.mark.cluster
def test_the_hook_makes_what_is_missing_and_leaves_what_is_good(hook: Hook) -> None:
    assert hook.run("a.svc", "b.svc").startswith("0 ")
    assert why_not(hook.bundle, ["a.svc", "b.svc"], datetime.now(UTC)) == ""
    assert hook.ca == hook.bundle.ca
    assert hook.get("secret/stratops-gateway-tls")["type"] == "kubernetes.io/tls"
    before = hook.get("secret/stratops-gateway-tls")
    assert hook.run("b.svc").endswith("good as it is")
    assert hook.get("secret/stratops-gateway-tls") == before


@pytest.mark.cluster
def test_other_names_make_another_one_and_both_cas_are_shown(hook: Hook) -> None:
    hook.run("a.svc")
    before = hook.ca
    assert "not for c.svc" in hook.run("c.svc")
    assert why_not(hook.bundle, ["c.svc"], datetime.now(UTC)) == ""
    assert hook.ca == hook.bundle.ca + before


@pytest.mark.cluster
def test_a_ca_that_is_not_shown_is_shown_again(hook: Hook) -> None:
    hook.run("a.svc")
    hook.namespace.kubectl("delete", "configmap", "stratops-gateway-ca")
    assert hook.run("a.svc").startswith("0 ")
    assert hook.ca == hook.bundle.ca


@pytest.mark.cluster
def test_a_foreign_secret_is_not_touched(hook: Hook) -> None:
    hook.namespace.kubectl("create", "secret", "generic", "stratops-gateway-tls")
    before = hook.get("secret/stratops-gateway-tls")
    assert hook.run("a.svc").startswith("1 ")
    assert hook.get("secret/stratops-gateway-tls") == before


def test_what_is_not_set_is_one_clear_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "risk_gateway.certificates"]
    done = subprocess.run(command, env={}, capture_output=True, text=True)
    line = "risk_gateway.certificates: STRATOPS_NAMESPACE: not set, expected a value"
    assert (done.returncode, done.stderr.splitlines()) == (1, [line])
