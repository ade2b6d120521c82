"""Who else may call a desk on a laptop: a file, read again when it changes, and by its letter."""

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_gateway.callers import SharedTokens
from risk_gateway.roles import Role
from risk_gateway.roster import InvalidRoster, Roster, read

DIGEST = sha256(b"ana's").hexdigest()
ANA = f'[ana]\nroles = ["risk-officer", "reader"]\ntoken_sha256 = "{DIGEST}"\n'
BO = '[bo]\nroles = ["reader"]\ncertificate = "spiffe://desk/bo"\n'


def written(path: Path, text: str) -> Path:
    """With another time than before, whatever the clock's grain is."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 1_000_000, before + 1_000_000))
    return path


async def roles(tokens: SharedTokens, token: str = "ana's") -> set[Role]:
    return set((await tokens.identify(token)).roles)


async def test_a_member_is_known_by_its_token(tmp_path: Path) -> None:
    tokens = SharedTokens("secret", Roster(written(tmp_path / "roster.toml", ANA + BO)))
    assert (await tokens.identify("ana's")).name == "ana"
    assert await roles(tokens) == {Role.RISK_OFFICER, Role.READER}
    assert await roles(tokens, "another") == set()
    assert tokens.certified(["x", "spiffe://desk/bo"]).name == "bo"


async def test_whoever_is_struck_off_is_out_at_once(tmp_path: Path) -> None:
    path = tmp_path / "roster.toml"
    tokens = SharedTokens("secret", Roster(path))
    assert await roles(tokens) == set()
    written(path, ANA)
    assert await roles(tokens)
    written(path, BO)
    assert await roles(tokens) == set()


async def test_a_roster_that_cannot_be_read_lets_nobody_in(tmp_path: Path) -> None:
    path = written(tmp_path / "roster.toml", ANA)
    tokens = SharedTokens("secret", Roster(path))
    written(path, ANA + "[bo")
    assert await roles(tokens) == set()
    assert await roles(tokens, "secret") == set(Role)  # who started the desk keeps it
    with pytest.raises(InvalidRoster, match=r"^not TOML"):
        Roster(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("ana = 1", r"^ana: 1, expected a table \[ana\]", id="no table"),
        pytest.param("[ana]\nrole = 1", "^ana.role: expected one of", id="unknown field"),
        pytest.param("[ana]\ntoken_sha256 = 'x'", "^ana.token_sha256: 'x', expected 64", id="hex"),
        pytest.param("[ana]\ntoken_sha256 = 1", "^ana.token_sha256: 1, expected a str", id="type"),
        pytest.param("[ana]\nroles = ['reader']", "^ana: expected token_sha256", id="no proof"),
        pytest.param(BO.replace("reader", "king"), "^bo.roles: 'king', expected", id="no role"),
        pytest.param(BO.replace('["reader"]', "[]"), r"^bo.roles: \[\], expected", id="roles"),
        pytest.param(BO.replace('["reader"]', "[[]]"), r"^bo.roles: \[\], expected", id="nested"),
        pytest.param(ANA + ANA.replace("[ana]", "[eve]"), "^token_sha256: the same", id="twice"),
    ],
)
def test_what_is_wrong_with_it_is_named(text: str, message: str) -> None:
    with pytest.raises(InvalidRoster, match=message):
        read(text.encode())


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_is_in_it_is_members_or_a_named_refusal(document: bytes) -> None:
    with suppress(InvalidRoster):
        assert isinstance(read(document), tuple)
