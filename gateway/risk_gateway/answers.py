"""How a call ends: with its answer, with a status that names what is wrong, or with a fault.

Every refusal is a status with its reason. What nobody expected ends the process: the journal
has all that was told, and a desk in an unknown state may not go on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from risk_gateway.allowances import BoundMet
from risk_gateway.callers import (
    NotNow,
    NotPermitted,
    NotWanted,
    RefusalLog,
    UnknownCaller,
)
from risk_gateway.desk import LowerTerm, NotAllowed, NotDeployed
from risk_gateway.explanation import UnknownSignal
from risk_gateway.sessions import Context
from stratops_wire import InvalidMessage
from stratops_wire.gateway_client import LOWER_TERM
from stratops_wire.leader import NOT_WANTED, REFUSAL_KEY

T = TypeVar("T")

_STATUS: dict[type[Exception], grpc.StatusCode] = {
    InvalidMessage: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownCaller: grpc.StatusCode.UNAUTHENTICATED,
    NotPermitted: grpc.StatusCode.PERMISSION_DENIED,
    NotWanted: grpc.StatusCode.FAILED_PRECONDITION,
    NotNow: grpc.StatusCode.UNAVAILABLE,
    BoundMet: grpc.StatusCode.RESOURCE_EXHAUSTED,
    NotDeployed: grpc.StatusCode.FAILED_PRECONDITION,
    LowerTerm: grpc.StatusCode.FAILED_PRECONDITION,
    NotAllowed: grpc.StatusCode.FAILED_PRECONDITION,
    UnknownSignal: grpc.StatusCode.NOT_FOUND,
    TimeoutError: grpc.StatusCode.DEADLINE_EXCEEDED,
    DecodeError: grpc.StatusCode.INVALID_ARGUMENT,
}
EXPECTED = tuple(_STATUS)
_NAMES: dict[type[Exception], str] = {LowerTerm: LOWER_TERM, NotWanted: NOT_WANTED}
# What is answered at once would be asked again at once: a flood would have all of the loop.
_PAUSE_S = 0.1
_PAUSED = (BoundMet, UnknownCaller, NotPermitted, NotNow)


def _named(error: Exception) -> str:
    """What it is besides its status; empty: nothing of its own."""
    if isinstance(error, BoundMet):
        return str(error.bound)
    return next((name for kind, name in _NAMES.items() if isinstance(error, kind)), "")


class Answers:
    def __init__(self, refusals: RefusalLog, on_fault: Callable[[BaseException], None]) -> None:
        self._refusals = refusals
        self._on_fault = on_fault

    async def give(self, context: Context, work: Awaitable[T]) -> T:
        try:
            return await work
        except EXPECTED as error:
            self._refusals.note(error)
            if isinstance(error, _PAUSED):
                await asyncio.sleep(_PAUSE_S)
            named = _named(error)
            trailing = ((REFUSAL_KEY, named),) if named else ()
            await context.abort(_STATUS[type(error)], str(error), trailing)
            raise AssertionError("abort raises") from error
        except (grpc.aio.BaseError, asyncio.CancelledError):
            raise  # an abort, or the caller is gone
        except BaseException as error:
            self._on_fault(error)
            raise
