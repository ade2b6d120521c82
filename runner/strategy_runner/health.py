"""What a runner tells probes, scrapers, and whoever has its API key."""

import hmac
from collections.abc import Mapping
from http import HTTPStatus

import msgspec

from strategy_runner.metrics import page
from strategy_runner.runner import Runner
from strategy_runner.settings import Settings
from strategy_runner.spec import RunnerSpec
from stratops_process.pages import JSON, Answer, Headers, Page, standard


def pages(runner: Runner, settings: Settings, spec: RunnerSpec) -> Mapping[str, Page]:
    def status(headers: Headers) -> Answer:
        key = headers.get("x-api-key", "")
        if not settings.api_key or not _same(key, settings.api_key):
            return Answer(b"X-API-Key\n", HTTPStatus.UNAUTHORIZED)
        return Answer(msgspec.json.encode(_status(runner, spec)), kind=JSON)

    fixed = standard(lambda: runner.missing, lambda: page(runner, spec.strategy))
    return fixed | {"/status": status}


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _status(runner: Runner, spec: RunnerSpec) -> dict[str, object]:
    return {
        "strategy": spec.strategy,
        "revision": spec.revision,
        "phase": runner.replica.phase,
        "epoch": runner.replica.epoch,
        "gateway": runner.session.connected,
        "feed": runner.market.connected,
        "missing": runner.missing,
        "counters": runner.counters(),
    }
