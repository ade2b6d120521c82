"""What the journal knows about the grants of one strategy: the fold of its changes."""

from dataclasses import dataclass, replace

from handover.effects import Armed, Ended, GivenUp, GrantChange, Wanted
from handover.marks import raised
from handover.messages import Mark

_NOWHERE = Mark()


@dataclass(frozen=True, slots=True)
class Record:
    """At most one epoch is armed: `armed`. Epochs only rise; `epoch` is the last one given."""

    wanted: str = ""
    reason: str = ""  # of the last Wanted
    given_up: str = ""
    armed: Armed | None = None
    epoch: int = 0
    revision: str = ""  # the last one armed
    former: str = ""  # the last one armed before the wanted one
    floor: Mark = _NOWHERE  # decided by the epochs that have ended
    ended: str = ""  # why the last one did

    @property
    def target(self) -> str:
        """The revision that should run."""
        return self.former if self.wanted and self.wanted == self.given_up else self.wanted

    def after(self, change: GrantChange) -> "Record":
        match change:
            case Wanted(revision, reason):
                return self._wanting(revision, reason)
            case GivenUp(revision):
                return replace(self, given_up=revision)
            case Ended(_, why, mark):
                return replace(self, armed=None, ended=why, floor=raised(self.floor, mark))
            case Armed():
                return self._arming(change)

    def _wanting(self, revision: str, reason: str) -> "Record":
        former = self.former if self.revision in ("", revision) else self.revision
        given_up = self.given_up if self.given_up == revision else ""
        return replace(self, wanted=revision, reason=reason, given_up=given_up, former=former)

    def _arming(self, armed: Armed) -> "Record":
        former = self.former if armed.revision == self.wanted else armed.revision
        return replace(self, armed=armed, epoch=armed.epoch, revision=armed.revision, former=former)
