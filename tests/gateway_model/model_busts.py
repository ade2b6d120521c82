"""What a slow reading of docs/gateway.md says of busts: fills that take an earlier one back, as an
entry of the other side, once. Before its fill it waits; what contradicts it moves nothing.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from desk_model import DeskModel, Fact


def take(model: "DeskModel", bust: "Fact") -> str:
    """What becomes of one that has come."""
    of = _counted(model, bust["busts"])
    objection = _objection(model, bust, of) if of else "wrong"
    if of is None and not _is_stray(model, bust["busts"]):
        objection = "waits"
    if objection or of is None:
        model.note("stray", fill=bust["fill"], waits=bust if objection == "waits" else None)
        return f"bust {objection}"
    _book(model, bust, of)
    return "taken back"


def take_early(model: "DeskModel", fill: str) -> bool:
    """Whether one has waited for this fill, the first of several, and takes it back."""
    waiting = [e["waits"] for e in model.by_kind["stray"] if e["waits"]]
    bust = next((each for each in waiting if each["busts"] == fill), None)
    of = _counted(model, fill)
    if bust is None or of is None or _objection(model, bust, of):
        return False
    _book(model, bust, of)
    return True


def _objection(model: "DeskModel", bust: "Fact", of: "Fact") -> str:
    if model.is_gone(of["id"]):
        return "of records that are gone"
    if any(each["busts"] == of["fill"] for each in model.by_kind["fill"]):
        return "again"
    same = all(bust[name] == of[name] for name in ("symbol", "quantity", "price"))
    return "" if same and bust["side"] is not of["side"] and not of["busts"] else "wrong"


def _book(model: "DeskModel", bust: "Fact", of: "Fact") -> None:
    """For whom, of what order, and charged in what its fill was."""
    kept = ("id", "strategy", "fee_currency")
    model.book({**bust, **{name: of[name] for name in kept}})


def _counted(model: "DeskModel", fill: str) -> "Fact | None":
    return next((each for each in model.by_kind["fill"] if each["fill"] == fill), None)


def _is_stray(model: "DeskModel", fill: str) -> bool:
    return any(each["fill"] == fill for each in model.by_kind["stray"])
