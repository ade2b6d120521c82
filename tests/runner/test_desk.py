"""The desk's folder, as kubelet keeps it up to date under a runner."""

from pathlib import Path

import pytest

from strategy_runner.desk import DeskFolder, DeskUnreadable, Gateway

FILES = {"gateway": "gate.trading.svc:9090\n", "token": "t-1", "feed": "redis://r:6379"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_without_a_ca_it_is_plain(folder: Path) -> None:
    assert DeskFolder(folder).gateway() == Gateway("gate.trading.svc:9090", "t-1")
    assert DeskFolder(folder).feed() == "redis://r:6379"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gateway", Gateway("new:1", "t-1")),
        ("token", Gateway("gate.trading.svc:9090", "new:1")),
        ("ca.crt", Gateway("gate.trading.svc:9090", "t-1", b"new:1")),
    ],
)
def test_each_reading_is_of_now(folder: Path, name: str, expected: Gateway) -> None:
    desk = DeskFolder(folder)
    desk.gateway()
    (folder / name).write_text("new:1")
    assert desk.gateway() == expected


def test_the_strategys_own_feed_comes_first(folder: Path) -> None:
    assert DeskFolder(folder, "redis://own:1").feed() == "redis://own:1"


def test_what_spoke_tls_once_never_goes_on_without(folder: Path) -> None:
    desk = DeskFolder(folder)
    (folder / "ca.crt").write_text("PEM")
    desk.gateway()
    (folder / "ca.crt").unlink()
    with pytest.raises(DeskUnreadable, match=r"ca\.crt: No such file.*, expected a certificate"):
        desk.gateway()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gateway", "nowhere", r"gateway: 'nowhere', expected host:port"),
        ("gateway", "host:99999", r"expected host:port"),
        ("gateway", None, r"gateway: No such file or directory, expected host:port"),
        ("token", " \n", r"token: empty, expected a token"),
        ("ca.crt", "", r"ca\.crt: empty, expected a certificate in PEM"),
    ],
)
def test_a_file_that_cannot_be_meant_is_named(
    folder: Path, name: str, text: str | None, message: str
) -> None:
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    with pytest.raises(DeskUnreadable, match=message):
        DeskFolder(folder).gateway()


def test_a_token_is_not_shown(folder: Path) -> None:
    assert "t-1" not in repr(DeskFolder(folder).gateway())
