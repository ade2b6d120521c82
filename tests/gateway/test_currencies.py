"""A desk whose symbols are quoted in several currencies: books in each, limits in its own."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from desk_driver import OPERATOR, DeskDriver, buy, content, fill, tick
from gateway_driver import Stack, until
from handover.messages import OrderFill
from market_data import catalogue
from risk_gateway.audit import main
from risk_gateway.books import books_of
from risk_gateway.desk import NotAllowed
from risk_gateway.desk_currency import check_currency, check_quotes, currencies_of
from risk_gateway.explanation_text import to_json, to_text
from risk_gateway.metrics import DeskCollector, exposition
from risk_gateway.records import Kind, Started, body_of, record, started_key
from risk_gateway.report import Surroundings, desk_to_proto, levels
from risk_gateway.sealing import Sealer
from risk_gateway.settings import Clock
from risk_gateway.verification import verified
from stratops.screen import _holdings
from stratops_api.v1 import risk_gateway_pb2 as pb
from stratops_process.environment import InvalidSettings
from trading.instruments import Instrument, parse_catalogue
from trading.reasons import Reason
from trading.signals import Cause, Side, Signal

SYMBOLS = ("BTCUSDT", "ETHBTC", "BNBUSDT")


def rows() -> list[dict[str, str]]:
    shipped = catalogue.load()["BTCUSDT"]
    usual: dict[str, str] = msgspec.to_builtins(shipped)
    usual.pop("fee_currency")
    named = (("BTC", "USDT"), ("ETH", "BTC"), ("BNB", "USDT"))
    return [
        usual
        | {
            "symbol": base + quote,
            "base_currency": base,
            "quote_currency": quote,
            "min_notional": "0",
            "lot_size": "0.1",
        }
        for base, quote in named
    ]


def instruments() -> Mapping[str, Instrument]:
    return parse_catalogue({"instruments": rows()})


class SeveralCurrencies(DeskDriver):
    symbols = SYMBOLS
    catalogue = staticmethod(instruments)
    currency = "USDT"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[SeveralCurrencies]:
    driver = SeveralCurrencies(tmp_path)
    note_started(driver, 1, "USDT")
    yield driver
    driver.close()


BOTH = json.dumps(json.loads(content()) | {"symbols": ["BTCUSDT", "ETHBTC"]})


async def armed(desk: SeveralCurrencies, text: str = BOTH) -> Any:
    """At 1 BTC = 100.5 USDT and 1 ETH = 2.5 BTC."""
    runner = await desk.armed(text)
    desk.feed(tick(1, 2.0, "ETHBTC"))
    return runner


def eth(name: str, quantity: str = "1", **fields: Any) -> Signal:
    """Of 1 ETH for BTC, caused by its own first tick."""
    cause = Cause("ETHBTC", "tick", 1, 10**9)
    return replace(buy(name, symbol="ETHBTC", quantity=quantity), **{"cause": cause, **fields})


def eth_fill(of: str, quantity: str = "1", **fields: Any) -> Any:
    usual = {"symbol": "ETHBTC", "price": Decimal(2), "fee": Decimal("0.01")}
    return fill(of, quantity=quantity, **{**usual, **fields})


async def traded(desk: SeveralCurrencies) -> None:
    """Long 2 ETH at 2 BTC, fee 0.01 BTC; long 1 BTC at 101 USDT, fee 0.3 BNB."""
    runner = await armed(desk)
    await runner.decide(eth("e", "2"), buy("b"))
    await desk.filled(eth_fill("e", "2"), fill("b", fee=Decimal("0.3"), fee_currency="BNB"))


def books(desk: DeskDriver, **mids: str) -> pb.Books:
    return books_of(desk.state.strategies.values(), desk.market.latest)


def figures(line: pb.BookLine) -> tuple[str, ...]:
    texts = (line.realized_pnl, line.fees, line.unrealized_pnl)
    return tuple(f"{Decimal(each).normalize():f}" if each else "" for each in texts)


# ---- books


async def test_books_are_told_by_currency_and_together(desk: SeveralCurrencies) -> None:
    await traded(desk)
    desk.feed(tick(1, 9.5, "BNBUSDT"))  # mid 10
    found = books(desk)
    parts = {line.currency: figures(line) for line in found.by_currency if line.strategy == "s"}
    assert parts == {
        "BTC": ("0", "0.01", "1"),  # 2 * (2.5 - 2)
        "BNB": ("0", "0.3", "0"),
        "USDT": ("0", "0", "-0.5"),  # 100.5 - 101
    }
    total = ("0", "4.005", "100")  # 0.01 * 100.5 + 0.3 * 10; 1 * 100.5 - 0.5
    assert [figures(line) for line in (*found.strategies, *found.accounts, found.desk)] == [
        total,
        total,
        total,
    ]
    assert (found.currency, found.desk.currency) == ("USDT", "USDT")
    assert {each.currency: tuple(each.symbols) for each in found.rates} == {
        "BTC": ("BTCUSDT",),
        "BNB": ("BNBUSDT",),
    }


async def test_a_position_is_told_in_the_currency_of_its_symbol(desk: SeveralCurrencies) -> None:
    await traded(desk)
    found = {line.symbol: line for line in books(desk).positions}
    assert (found["ETHBTC"].currency, figures(found["ETHBTC"])) == ("BTC", ("0", "0.01", "1"))
    assert (found["BTCUSDT"].currency, figures(found["BTCUSDT"])) == ("USDT", ("0", "0", "-0.5"))
    assert dict(found["BTCUSDT"].other_fees) == {"BNB": "0.3"}


async def test_a_total_that_cannot_be_converted_is_empty_and_says_why(
    desk: SeveralCurrencies,
) -> None:
    await traded(desk)  # BNBUSDT has no price
    found = books(desk)
    assert figures(found.desk) == ("0", "", "100")
    assert found.desk.unconverted == "BNB: BNBUSDT has no bid and ask"
    assert figures(next(x for x in found.by_currency if x.currency == "BNB")) == ("0", "0.3", "0")


async def test_books_are_the_same_after_a_restart(desk: SeveralCurrencies) -> None:
    await traded(desk)
    before = desk.strategy.account.books(lambda _: None)
    desk.again()
    assert desk.strategy.account.books(lambda _: None) == before


async def test_the_proof_of_a_journal_tells_each_currency(
    desk: SeveralCurrencies, capsys: pytest.CaptureFixture[str]
) -> None:
    await traded(desk)
    capsys.readouterr()  # what was logged
    assert main(["verify", str(desk.journal.path), "--json"]) == 0
    (ledger,) = json.loads(capsys.readouterr().out)["strategies"].values()
    assert ledger["currencies"] == {
        "": {"realized_pnl": "0", "fees": "0"},
        "BNB": {"realized_pnl": "0", "fees": "0.3"},
        "BTC": {"realized_pnl": "0", "fees": "0.01"},
    }


async def test_a_fee_is_journalled_in_the_currency_in_which_it_was_booked(
    desk: SeveralCurrencies,
) -> None:
    in_bnb = {"BTCUSDT": replace(instruments()["BTCUSDT"], fee_currency="BNB")}
    desk.state.instruments = {**instruments(), **in_bnb}
    runner = await armed(desk)
    await runner.decide(buy("b"))
    await desk.filled(fill("b", fee=Decimal("0.3")))
    row = desk.archive.record(Kind.FILL, "b-0-1")
    assert row is not None
    assert body_of(row).fee_currency == "BNB"


@pytest.mark.parametrize("says", ["", "BNB", "USDT"])
async def test_a_bust_takes_a_fee_back_from_where_it_was_booked(
    desk: SeveralCurrencies, says: str
) -> None:
    in_bnb = {"BTCUSDT": replace(instruments()["BTCUSDT"], fee_currency="BNB")}
    desk.state.instruments = {**instruments(), **in_bnb}
    runner = await armed(desk)
    await runner.decide(buy("b"))
    bust = fill("b", 2, side=Side.SELL, fee=Decimal("-0.1"), busts="b-0-1", fee_currency=says)
    await desk.filled(fill("b", fee_currency="USDT"), bust)
    assert {each.fees for each in desk.strategy.account.books(lambda _: None).values()} == {0}


async def test_the_screen_and_the_metrics_tell_each_currency(desk: SeveralCurrencies) -> None:
    await traded(desk)
    (status,) = desk_to_proto(desk.desk, Surroundings()).strategies
    assert "in BTC: realised 0   unrealised 1   fees 0.01" in _holdings(status)
    assert "fees unknown" in _holdings(status)  # together
    text = exposition(DeskCollector(desk.state.counts, lambda: levels(desk.desk, None))).decode()
    assert 'strategy_engine_realized_pnl{currency="BTC",strategy="s"} 0.0' in text


# ---- verdicts


async def test_an_order_is_judged_in_the_desks_currency(desk: SeveralCurrencies) -> None:
    limits = json.loads(BOTH)
    limits["limits"]["max_order_value"] = "301.5"  # 3 BTC: 1 ETH at the ask of 3
    runner = await armed(desk, json.dumps(limits))
    small, large = await runner.decide(eth("small"), eth("large", "1.1"))
    assert small.reason is None
    assert (large.reason, large.message) == (
        Reason.MAX_ORDER_VALUE,
        "order worth 331.650, allowed is 301.5",
    )


async def without_a_rate(desk: SeveralCurrencies) -> Any:
    """Long 2 ETH, of somebody's order; BTCUSDT has no price."""
    desk.feed(tick(1, 2.0, "ETHBTC"))
    runner = await desk.armed(BOTH)
    await desk.filled(eth_fill("hand", "2"))
    return runner


async def test_without_a_rate_what_opens_is_refused_and_what_closes_is_not(
    desk: SeveralCurrencies,
) -> None:
    runner = await without_a_rate(desk)
    opens, closes = await runner.decide(eth("more"), eth("less", "2", side=Side.SELL, closing=True))
    assert (opens.reason, opens.message) == (Reason.NO_RATE, "BTC: BTCUSDT has no bid and ask")
    assert closes.reason is None
    assert desk.orders == ["less-0"]


def in_eur() -> str:
    written = json.loads(BOTH)
    return json.dumps(written | {"capital": written["capital"] | {"currency": "EUR"}})


async def test_capital_in_another_currency_is_refused_before_anything_starts(
    desk: SeveralCurrencies,
) -> None:
    why = "^s: capital is in EUR, the desk's currency is USDT$"
    with pytest.raises(NotAllowed, match=why):
        await desk.deploy(text=in_eur())
    assert not desk.state.strategies
    await desk.deploy(text=BOTH)
    with pytest.raises(NotAllowed, match=why):
        await desk.deploy("r2", in_eur())
    assert desk.strategy.wanted_revision == "r1"


async def test_capital_in_another_currency_from_before_may_only_close(
    desk: SeveralCurrencies,
) -> None:
    desk.currency = ""  # for once
    desk.again()
    await desk.deploy(text=in_eur())
    del desk.currency
    desk.again()
    await desk.deploy(text=in_eur())  # as whoever supervises does at each start
    (verdict,) = await (await armed(desk)).decide(buy("x"))
    assert verdict.reason is Reason.REDUCING_ONLY
    assert verdict.message.endswith("capital is in EUR, the desk's currency is USDT")


# ---- explanations


async def test_an_explanation_names_the_rates_and_makes_the_same_numbers(
    desk: SeveralCurrencies,
) -> None:
    await traded(desk)
    desk.feed(tick(2, 5000.0))  # another rate now
    found = desk.explain("e-0")
    assert found.exchange is not None
    assert [(each.currency, each.rate, each.symbols) for each in found.exchange.rates] == [
        ("BTC", Decimal("100.5"), ("BTCUSDT",))
    ]
    assert {each.result for each in found.checks} == {"passed"}
    assert "rates       1 BTC = 100.5 USDT by BTCUSDT" in to_text(found)
    assert "P&L         realised 0 BTC, fees 0.01 BTC" in to_text(found)


async def test_an_explanation_tells_a_fee_in_its_own_currency(desk: SeveralCurrencies) -> None:
    await traded(desk)
    found = desk.explain("b-0")
    assert found.fees == 0
    assert found.other_fees == {"BNB": Decimal("0.3")}
    assert json.loads(to_json(found))["other_fees"] == {"BNB": "0.3"}


async def test_a_refusal_without_a_rate_is_explained_by_its_check(desk: SeveralCurrencies) -> None:
    runner = await without_a_rate(desk)
    await runner.decide(eth("x"))
    refused = [each.check for each in desk.explain("x").checks if each.result == "refused"]
    assert refused[0] == "rates_are_known"


async def test_in_one_currency_no_rate_is_kept(desk: SeveralCurrencies) -> None:
    runner = await armed(desk)
    await runner.decide(buy("b"))
    row = desk.archive.record(Kind.DECIDED, "b")
    assert row is not None
    assert "exchange" not in body_of(row).judged.values


# ---- settings


def test_a_currency_that_nothing_is_quoted_in_is_a_slip() -> None:
    with pytest.raises(InvalidSettings, match=r"STRATOPS_CURRENCY: 'USTD', expected one .*USDT"):
        currencies_of("USTD", instruments(), SYMBOLS)


@pytest.mark.parametrize("now", ["BTC", ""])
def test_a_desks_currency_does_not_change(now: str) -> None:
    before = Started(Clock.MARKET, False, False, {}, currency="USDT")
    with pytest.raises(InvalidSettings, match="expected 'USDT', in which the journal was begun"):
        check_currency(now, before)


def test_a_desk_that_did_not_say_its_currency_may_begin_to() -> None:
    check_currency("USDT", Started(Clock.MARKET, False, False, {}))


@pytest.mark.parametrize("now", ["USDT", None])
async def test_a_symbol_that_was_traded_stays_quoted_in_its_currency(
    desk: SeveralCurrencies, now: str | None
) -> None:
    await traded(desk)
    before, changed = desk.state.instruments, dict(desk.state.instruments)
    changed["ETHBTC"] = replace(changed["ETHBTC"], quote_currency=now or "")
    if now is None:
        del changed["ETHBTC"]
    noted = Started(Clock.MARKET, False, False, dict(before), currency="USDT")
    strategies = desk.state.strategies.values()
    check_quotes(before, noted, strategies)
    check_quotes(changed, replace(noted, currency=""), strategies)
    with pytest.raises(InvalidSettings, match=r"ETHBTC .*, expected 'BTC', in which s has traded"):
        check_quotes(changed, noted, strategies)


# ---- a desk that begins to say its currency


class SaysNothingYet(SeveralCurrencies):
    currency = ""


def note_started(desk: DeskDriver, at_ns: int, currency: str) -> None:
    started = Started(Clock.MARKET, False, False, dict(instruments()), currency=currency)
    desk.journal.append([record(Kind.STARTED, started, at_ns, key=started_key(at_ns))])


@pytest.mark.parametrize("sealed", [False, True], ids=["of its records", "of a seal"])
async def test_what_several_currencies_lost_as_one_sum_is_measured_anew(
    tmp_path: Path, sealed: bool
) -> None:
    desk = SaysNothingYet(tmp_path)
    note_started(desk, 1, "")
    runner = await armed(desk)
    await runner.decide(eth("e", "2"))
    await desk.filled(eth_fill("e", "2", price=Decimal(3)))  # at a mid of 2.5: 1 BTC is lost
    desk.feed_next()
    await runner.decide(buy("b", 2))
    assert desk.strategy.account.watermarks.currency == ""
    if sealed:
        await Sealer(desk.state).seal()
    desk.currency = "USDT"
    desk.again()
    note_started(desk, 2, "USDT")
    desk.feed(tick(3), tick(3, 2.0, "ETHBTC"))
    equity = desk.strategy.account.mark(desk.market.latest, 3 * 10**9)
    marks = desk.strategy.account.watermarks
    await Sealer(desk.state).seal()
    verified(desk.journal.path)
    desk.close()
    assert (marks.currency, marks.day_start, marks.peak) == ("USDT", equity, equity)


async def test_what_one_currency_lost_stays_lost_once_it_is_said(tmp_path: Path) -> None:
    desk = SaysNothingYet(tmp_path)
    runner = await armed(desk)
    await runner.decide(buy("b"))
    await desk.filled(fill("b", price=Decimal(200)))
    desk.feed_next()
    await runner.decide(buy("c", 2))
    before = desk.strategy.account.watermarks
    assert before.equity < before.day_start
    desk.currency = "USDT"
    desk.again()
    assert desk.strategy.account.watermarks == replace(before, currency="USDT")
    desk.close()


# ---- over gRPC


@pytest.fixture
async def stack(
    tmp_path: Path,
    port: Callable[[], int],
    redis_server: Any,
    nats_server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Stack]:
    file = tmp_path / "instruments.json"
    file.write_text(json.dumps({"instruments": rows()}))
    monkeypatch.setenv("STRATOPS_CATALOGUE", str(file))
    monkeypatch.setenv("STRATOPS_SYMBOLS", ",".join(SYMBOLS))
    started = Stack(
        tmp_path, port, redis_server, nats_server, OPERATOR_TOKEN=OPERATOR, CURRENCY="USDT"
    )
    yield started
    await started.hang_up()
    started.close()


@pytest.mark.servers
async def test_a_desk_trades_in_two_currencies(stack: Stack) -> None:
    await stack.deploy(BOTH)
    runner = await stack.armed()
    await _eth_tick(stack, 1)
    (refused,) = await runner.decide(eth("early"))
    assert refused.reason is Reason.NO_RATE
    for _ in range(2):
        await stack.market.next()
    await _eth_tick(stack, 2)
    later = Cause("ETHBTC", "tick", 2, 2 * 10**9)
    verdicts = await runner.decide(eth("e", cause=later), buy("b", cause=2))
    assert [each.reason for each in verdicts] == [None, None]

    async def two_fills() -> bool:
        return sum(isinstance(each.what, OrderFill) for each in runner.outcomes) == 2

    await until(two_fills)
    found = await stack.stub().GetBooks(pb.GetBooksRequest(token=OPERATOR))
    parts = {line.currency: figures(line) for line in found.by_currency if line.strategy == "s"}
    # at the asks of 3 BTC and 101 USDT, with the venue's fee of 0.001; mids 2.5 and 100.5
    assert parts == {"BTC": ("0", "0.003", "-0.5"), "USDT": ("0", "0.101", "-0.5")}
    assert figures(found.desk) == ("0", "0.4025", "-50.75")
    answer = await stack.stub().ExplainOrder(pb.ExplainOrderRequest(token=OPERATOR, order="e-0"))
    (rate,) = json.loads(answer.json)["exchange"]["rates"]
    assert rate == {"currency": "BTC", "rate": "100.5", "symbols": ["BTCUSDT"], "why": ""}

    stack.gateway.kill()
    await stack.gateway.start_again()
    again = await stack.stub().GetBooks(pb.GetBooksRequest(token=OPERATOR))
    kept = {line.currency: figures(line)[:2] for line in again.by_currency if line.strategy == "s"}
    assert kept == {"BTC": ("0", "0.003"), "USDT": ("0", "0.101")}
    assert again.desk.fees == ""
    assert again.desk.unconverted == "BTC: BTCUSDT has no bid and ask"


async def _eth_tick(stack: Stack, sequence: int) -> None:
    payload = tick(sequence, 2.0, "ETHBTC")

    async def arrives() -> bool:
        return int(stack.market._redis.publish("market:ethbtc", payload)) >= 2

    await until(arrives)
