"""A desk whose operator is elsewhere is not uninstalled from under strategies that it holds."""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from identity_driver import write_bundle
from platform_spec.metadata import API_VERSION
from risk_gateway import strategies_gone
from risk_gateway.authority import make
from risk_gateway.strategies_gone import StrategiesLeft, gone
from strategy_operator.names import FINALIZER

PATH = f"/apis/{API_VERSION}/namespaces/desk-a/strategies"


class ListServer:
    """The list of Strategies over TLS, as an API server has it; without one, no such kind."""

    def __init__(self, folder: Path, port: int) -> None:
        write_bundle(folder, make(["127.0.0.1"], datetime.now(UTC)))
        (folder / "token").write_text("the hook's own")
        self.folder, self.port = folder, port
        self.answers: list[list[dict[str, Any]] | None] = [[]]  # one each time, the last for good

    async def list(self, _: web.Request) -> web.Response:
        items = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if items is None:
            return web.json_response({"message": "not found"}, status=404)
        return web.json_response({"items": [{"metadata": each} for each in items]})

    @property
    def environ(self) -> Mapping[str, str]:
        return {
            "STRATOPS_NAMESPACE": "desk-a",
            "STRATOPS_API_SERVER": f"https://127.0.0.1:{self.port}",
            "STRATOPS_API_CA": str(self.folder / "ca.crt"),
            "STRATOPS_API_TOKEN_FILE": str(self.folder / "token"),
        }


@pytest.fixture
async def server(
    tmp_path: Path, port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ListServer]:
    monkeypatch.setattr(strategies_gone, "_WAIT_S", 0.01)
    found = ListServer(tmp_path, port())
    app = web.Application()
    app.router.add_get(PATH, found.list)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    await web.TCPSite(runner, "127.0.0.1", found.port, ssl_context=context).start()
    yield found
    await runner.cleanup()


HELD = {"name": "btc", "finalizers": [FINALIZER]}
FREE = {"name": "eth", "finalizers": ["example.com/other"]}


async def test_who_is_held_is_named_with_what_to_do(server: ListServer) -> None:
    server.answers = [[HELD, FREE]]
    with pytest.raises(StrategiesLeft, match="armed without this desk: btc; first kubectl delete"):
        await gone(server.environ)


@pytest.mark.parametrize(
    "answers",
    [[[]], [None], [[FREE]], [[HELD], [HELD], []]],
    ids=["none", "no such kind", "none of ours", "those that go meanwhile"],
)
async def test_the_desk_may_go_when_nobody_is_held(
    server: ListServer, answers: list[list[dict[str, Any]] | None]
) -> None:
    server.answers = answers
    await gone(server.environ)
