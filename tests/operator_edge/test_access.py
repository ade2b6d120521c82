"""Ways to the API server: from a kubeconfig, and from inside a pod."""

from pathlib import Path

import pytest
import yaml

from strategy_operator.access import InvalidAccess, found, from_kubeconfig


def kubeconfig(folder: Path, user: dict[str, object]) -> Path:
    path = folder / "config"
    cluster = {"server": "http://127.0.0.1:8001/"}
    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_token_is_shown(tmp_path: Path) -> None:
    access = from_kubeconfig(kubeconfig(tmp_path, {"token": "abc"}))
    assert (access.server, access.headers()) == (
        "http://127.0.0.1:8001",
        {"Authorization": "Bearer abc"},
    )


def test_a_token_file_is_read_at_each_request(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    access = from_kubeconfig(kubeconfig(tmp_path, {"tokenFile": "token"}))
    assert access.token() == "one"
    (tmp_path / "token").write_text("two\n")
    assert access.token() == "two"


def test_a_certificate_needs_no_token(tmp_path: Path) -> None:
    assert from_kubeconfig(kubeconfig(tmp_path, {})).headers() == {}


@pytest.mark.parametrize("text", ["", "[]", "{", "current-context: none"], ids=repr)
def test_what_is_no_kubeconfig_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(InvalidAccess, match=r"config: .* expected a kubeconfig"):
        from_kubeconfig(tmp_path / "config")


def test_a_plugin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidAccess, match="a plugin; expected a certificate"):
        from_kubeconfig(kubeconfig(tmp_path, {"exec": {"command": "aws"}}))


def test_outside_of_a_pod_a_kubeconfig_is_needed() -> None:
    with pytest.raises(InvalidAccess, match="no KUBECONFIG and not in a pod"):
        found(None, {})
