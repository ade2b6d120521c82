"""Whom a caller goes to next: a table of what was answered."""

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratops_wire.leader import LEADER_KEY, NOT_LEADER, REFUSAL_KEY, Replicas, is_address

BOTH = "a:1,b:2"
A, B = Replicas.of(BOTH), Replicas.of(BOTH, "b:2")
UNAVAILABLE, LATE = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED


def ended(code: grpc.StatusCode, **trailing: str) -> grpc.aio.AioRpcError:
    said = [(key.replace("_", "-"), value) for key, value in trailing.items()]
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*said))


def standby(leader: str) -> grpc.aio.AioRpcError:
    refusal = {REFUSAL_KEY: NOT_LEADER, LEADER_KEY: leader}
    return ended(UNAVAILABLE, **{key.replace("-", "_"): value for key, value in refusal.items()})


@pytest.mark.parametrize(
    ("before", "answer", "after"),
    [
        pytest.param(A, standby("b:2"), B, id="a standby names the other"),
        pytest.param(A, standby("evil:1"), A, id="it names somebody unknown"),
        pytest.param(A, standby(""), A, id="it knows of no leader"),
        pytest.param(A, ended(UNAVAILABLE), B, id="nobody answers"),
        pytest.param(B, ended(LATE), A, id="nobody answers in time"),
        pytest.param(A, ended(grpc.StatusCode.PERMISSION_DENIED), A, id="it may not"),
        pytest.param(
            A, ended(grpc.StatusCode.RESOURCE_EXHAUSTED), A, id="it is too much at the leader"
        ),
    ],
)
def test_whom_to_call_next(before: Replicas, answer: grpc.aio.AioRpcError, after: Replicas) -> None:
    assert before.after(answer) == after


@given(
    st.lists(st.sampled_from("abcd").map(lambda host: f"{host}:1"), min_size=1, unique=True),
    st.lists(st.sampled_from(["silent", "a:1", "b:1", "x:1", ""])),
)
def test_nobody_is_called_who_was_not_named_and_each_is_tried(
    addresses: list[str], answers: list[str]
) -> None:
    replicas = Replicas.of(",".join(addresses))
    for answer in answers:
        replicas = replicas.after(ended(UNAVAILABLE) if answer == "silent" else standby(answer))
        assert replicas.called in addresses
    tried = []
    for _ in addresses:
        tried.append(replicas.called)
        replicas = replicas.next()
    assert sorted(tried) == sorted(addresses)


def test_an_address_that_was_taken_away_is_called_no_more() -> None:
    assert Replicas.of("a:1,c:3", "b:2").called == "a:1"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("a:1", True), ("a:1, b:2", True), ("a:1,", False), ("a", False), ("a:1,b:70000", False)],
)
def test_what_an_address_is(text: str, is_one: bool) -> None:
    assert is_address(text) is is_one
