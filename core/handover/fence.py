"""The fence: which batches of decisions count.

Only those of the armed run, of its epoch, in their order, on ticks that nobody has decided before,
and none while a switch is being written.
"""

from enum import StrEnum

from handover.marks import decided, raised
from handover.messages import Batch
from handover.runs import Run, Scene, Tenure


class Passage(StrEnum):
    REFUSED = "refused"
    REPEATED = "repeated"  # durable already: acknowledge again
    PENDING = "pending"  # taken already: the acknowledgement will come
    GAP = "gap"
    WENT_BACK = "went_back"
    NOTED = "noted"  # nothing in it that must be durable
    TAKEN = "taken"


def passage(scene: Scene, run: Run, batch: Batch, *, closed: bool) -> Passage:
    """What becomes of a batch that came from `run`; changes nothing."""
    tenure = scene.tenure
    if closed or tenure is None or (run.instance, batch.epoch) != (tenure.instance, tenure.epoch):
        return Passage.REFUSED
    if batch.number <= tenure.durable:
        return Passage.REPEATED
    if batch.number <= tenure.taken:
        return Passage.PENDING
    if batch.number != tenure.taken + 1 and not tenure.resumed:
        return Passage.GAP
    if _went_back(tenure, batch):
        return Passage.WENT_BACK
    idle = not (batch.signals or batch.inputs or batch.stopped or tenure.in_flight)
    return Passage.NOTED if idle and not scene.followed else Passage.TAKEN


def let_through(tenure: Tenure, batch: Batch, *, durable: bool) -> None:
    if tenure.resumed:
        # Those between were acknowledged without being journalled, by the gateway that was killed.
        tenure.resumed = False
        tenure.durable = batch.number - 1
    tenure.taken = batch.number
    tenure.mark = batch.mark
    tenure.floor = raised(tenure.floor, batch.mark)
    tenure.stopped = ""
    if durable:
        tenure.durable = batch.number
    else:
        tenure.in_flight[batch.number] = batch


def _went_back(tenure: Tenure, batch: Batch) -> bool:
    if batch.mark.count < tenure.mark.count:
        return True
    floor = tenure.floor
    same = batch.mark.session == floor.session != ""
    return same and any(decided(floor, signal.cause) for signal in batch.signals)
