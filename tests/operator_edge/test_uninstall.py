"""Letting go, on a small API server: of what there is once operators are stopped, and once."""

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from small_api import SmallApi
from strategy_operator import lease, names, uninstall
from strategy_operator.cluster import CONFIG_MAP, LEASE, STRATEGY, Cluster
from strategy_operator.settings import Settings, Watch
from strategy_operator.uninstall import Farewell

SPACE = "desk"
OURS = {"finalizers": [names.FINALIZER, "example.com/theirs"]}


@pytest.fixture(autouse=True)
def _nobody_led_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to be waited for."""
    monkeypatch.setattr(uninstall, "_NOTICED_S", 0.0)
    monkeypatch.setattr(lease, "GIVE_UP_S", 0.0)


@pytest.fixture
def api() -> SmallApi:
    made = SmallApi()
    made.has(LEASE, SPACE, lease.NAME, spec={"holderIdentity": "leader"})
    return made


async def farewell(api: SmallApi, token: Path = Path("none")) -> bool:
    """As from outside of the cluster, where a gateway may have no CA."""
    outside = Path("kubeconfig")
    settings = Settings(
        SPACE, "uninstaller", "none", watch=Watch.ALL, gateway_token=token, kubeconfig=outside
    )
    async with api.serving() as access, Cluster(access) as cluster:
        return await Farewell(cluster, settings).say()


def finalizers(api: SmallApi, name: str) -> list[str]:
    metadata: dict[str, Any] = api.objects[STRATEGY.plural, SPACE, name]["metadata"]
    return list(metadata.get("finalizers", []))


async def test_a_strategy_taken_on_before_the_operators_stop_is_let_go(api: SmallApi) -> None:
    def made_at_the_last_moment(request: web.Request) -> None:
        if request.method == "PUT" and not any(key[0] == STRATEGY.plural for key in api.objects):
            api.has(STRATEGY, SPACE, "late", metadata=OURS)

    api.instead = made_at_the_last_moment
    assert await farewell(api)
    assert finalizers(api, "late") == ["example.com/theirs"]


async def test_what_has_not_our_finalizer_is_left_alone_so_a_retry_does_nothing_again(
    api: SmallApi,
) -> None:
    api.has(STRATEGY, SPACE, "btc", metadata=OURS)
    assert await farewell(api)
    api.asked.clear()
    assert await farewell(api)
    assert not [each for each in api.asked if STRATEGY.path(SPACE, "btc") in each]


class Silent:
    """Gateways that take a connection and never answer."""

    def __init__(self) -> None:
        self.open: list[int] = []  # by port, one for each connection
        self.most_open = 0

    async def hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("sockname")[1]
        self.open.append(port)
        self.most_open = max(len(set(self.open)), self.most_open)
        with suppress(ConnectionError):
            await reader.read()  # until the other side hangs up
        self.open.remove(port)
        writer.close()


async def test_gateways_that_do_not_answer_are_waited_for_together(
    api: SmallApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uninstall, "_GATEWAY_S", 2.0)
    (tmp_path / "token").write_text("ours")
    silent = Silent()
    async with AsyncExitStack() as stack:
        for space in ("a", "b", "c"):
            server = await asyncio.start_server(silent.hold, "127.0.0.1", 0)
            await stack.enter_async_context(server)
            address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            api.has(STRATEGY, space, "btc", metadata=OURS)
            api.has(CONFIG_MAP, space, names.DESK, data={"gateway": address})
        assert await farewell(api, tmp_path / "token")
        async with asyncio.timeout(60):
            while silent.open:
                await asyncio.sleep(0.01)
    assert silent.most_open == 3
