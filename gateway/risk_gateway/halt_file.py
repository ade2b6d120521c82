"""The halt that needs nothing but the gateway's disk: while the file is there, no order leaves."""

from pathlib import Path

from risk_gateway.bounds import Bounds
from risk_gateway.policies import NO_REASON
from risk_gateway.state import FILE, State
from trading.scopes import DESK

NAME = "halt"
_MOST_BYTES = 200


class HaltFile:
    """Asked by `look`, at the start and then each tick: a stat, which takes microseconds."""

    def __init__(
        self, folder: Path, state: State, bounds: Bounds, *, replicas: bool = False
    ) -> None:
        """With `replicas` each has a folder of its own: that there is no file in ours lifts no
        halt that a file in another's began."""
        self._path = folder / NAME
        self._state = state
        self._bounds = bounds
        self._replicas = replicas
        self._seen = ""  # a file is read again when it was written again

    def look(self) -> None:
        seen = self._stamp()
        if seen == self._seen and bool(seen) == ((DESK, FILE) in self._state.latches):
            return
        was_here, self._seen = bool(self._seen), seen
        if seen:
            self._bounds.halt(self._reason(), source=FILE)
        elif was_here or not self._replicas:
            self._bounds.resume(f"{NAME} is gone", source=FILE)

    def _stamp(self) -> str:
        """Empty: it is not there. Whatever else keeps it from being looked at halts too."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return ""
        except OSError as error:
            return str(error)
        return f"{found.st_mtime_ns}/{found.st_size}"

    def _reason(self) -> str:
        """The beginning of what is written there."""
        try:
            with self._path.open("rb") as file:
                text = file.read(_MOST_BYTES).decode(errors="replace")
        except OSError as error:
            return f"{NAME} cannot be read: {error.strerror}"
        return " ".join(text.split()) or NO_REASON
