"""The table of rights: it has every call of the contract, and says who may make it."""

import pytest

from risk_gateway.callers import Caller, NotPermitted, UnknownCaller, check_may
from risk_gateway.roles import EVERY_ROLE, RIGHTS, Role
from stratops_api.v1 import risk_gateway_pb2 as pb

MAY = {
    "Trade": "",
    "SubmitSignal": "risk-officer trader",
    "BeginTerm": "operator",
    "Deploy": "operator",
    "Withdraw": "operator risk-officer",
    "Halt": "operator risk-officer trader",
    "CancelOrders": "operator risk-officer trader",
    "Resume": "operator risk-officer",
    "GetDesk": "operator reader risk-officer trader",
    "ListDeskOrders": "operator reader risk-officer trader",
    "GetBooks": "operator reader risk-officer trader",
    "ExplainOrder": "operator reader risk-officer trader",
}


def test_the_table_has_every_call_of_the_contract_and_no_other() -> None:
    services = pb.DESCRIPTOR.services_by_name.values()
    assert set(RIGHTS) == {method.name for service in services for method in service.methods}


def test_whoever_changes_who_may_what_changes_it_here_too() -> None:
    assert {rpc: " ".join(sorted(right.roles)) for rpc, right in RIGHTS.items()} == MAY


@pytest.mark.parametrize("rpc", RIGHTS)
@pytest.mark.parametrize("role", Role)
def test_a_role_may_what_the_table_says(rpc: str, role: Role) -> None:
    caller = Caller("ana", frozenset({role}))
    if role in MAY[rpc].split():
        check_may(caller, rpc)
    else:
        with pytest.raises(NotPermitted, match=rf"^{rpc} needs role .*; ana has {role}$"):
            check_may(caller, rpc)


@pytest.mark.parametrize("rpc", RIGHTS)
def test_whoever_has_no_role_may_nothing(rpc: str) -> None:
    with pytest.raises(NotPermitted, match="has no role"):
        check_may(Caller("ana"), rpc)
    with pytest.raises(UnknownCaller):
        check_may(Caller(token_sha256="0" * 64), rpc)


def test_only_runners_trade_over_a_stream() -> None:
    with pytest.raises(NotPermitted):
        check_may(Caller("ana", EVERY_ROLE), "Trade")
