"""The rules of value at risk and correlation. Without enough samples nothing is known: refused."""

from trading.limits import UNLIMITED
from trading.prospects import Basis
from trading.reasons import Reason
from trading.risk import Rejection, Request


def value_at_risk_stays_within_limit(request: Request) -> Rejection | None:
    most, found = request.limits.max_value_at_risk, request.value_at_risk
    if most == UNLIMITED:
        return None
    if request.exchange is not None:
        return _not_converted("value at risk")
    if found is None or found.basis.found < found.basis.needed:
        return _too_few(found.basis if found else None)
    if found.amount is None or found.amount > most:
        return Rejection(
            Reason.MAX_VALUE_AT_RISK,
            f"value at risk could become {found.amount} at {found.confidence} over "
            f"{found.basis.interval_s} s, {_rests_on(found.basis)}, allowed is {most}",
        )
    return None


def correlation_stays_within_limit(request: Request) -> Rejection | None:
    """With nobody else there is none."""
    most, found = request.limits.max_correlation, request.correlation
    if most == UNLIMITED:
        return None
    if request.exchange is not None:
        return _not_converted("correlation")
    if found is None or found.basis.found < found.basis.needed:
        return _too_few(found.basis if found else None)
    if found.most is None:
        return Rejection(
            Reason.MAX_CORRELATION,
            f"correlation with {found.other} is unknown: over {found.basis.found} samples what one "
            f"of the two would have won does not vary, allowed is {most}",
        )
    if found.most > most:
        return Rejection(
            Reason.MAX_CORRELATION,
            f"correlation with {found.other} could become {found.most}, "
            f"{_rests_on(found.basis)}, allowed is {most}",
        )
    return None


def _not_converted(what: str) -> Rejection:
    """Samples are of prices as they are: how rates moved with them is not known."""
    return Rejection(Reason.NO_RATE, f"{what} of several currencies is not known")


def _too_few(basis: Basis | None) -> Rejection:
    if basis is None:
        return Rejection(Reason.TOO_FEW_SAMPLES, "none were looked at")
    return Rejection(
        Reason.TOO_FEW_SAMPLES,
        f"{basis.found} of {basis.symbols} together, a sample each {basis.interval_s} s, "
        f"needed are {basis.needed}",
    )


def _rests_on(basis: Basis) -> str:
    return f"by {basis.found} samples"
