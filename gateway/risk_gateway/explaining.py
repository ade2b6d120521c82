"""An explanation for a caller."""

from risk_gateway.apart import Complained, answer_of
from risk_gateway.explanation import UnknownSignal
from risk_gateway.home import Home

_MOST_S = 60.0


async def explained_json(journal: Home, order: str) -> str:
    """Raises UnknownSignal, with whatever the process complained of; TimeoutError."""
    asked = ("explain", "--json", "--", "-", order)
    try:
        answer = await answer_of(journal, "risk_gateway.audit", *asked, within_s=_MOST_S)
    except Complained as complained:
        raise UnknownSignal(str(complained)) from complained
    return answer.decode()
