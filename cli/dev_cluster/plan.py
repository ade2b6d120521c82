"""What the supervisor is to do, as the file that it reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Plan:
    hostname: str
    link: str  # the network interface that the host puts in
    setup: Sequence[Sequence[str]]  # commands, before the first daemon
    kernel_settings: Mapping[str, str]  # paths below /proc/sys
    daemons: Mapping[str, Sequence[str]]
    environment: Mapping[str, str]
    logs: Path
    control: Path
    folders: Sequence[Path]  # what must stay visible in the namespaces

    def to_json(self) -> dict[str, Any]:
        return {
            "hostname": self.hostname,
            "link": self.link,
            "setup": [list(command) for command in self.setup],
            "kernel_settings": dict(self.kernel_settings),
            "daemons": {name: list(command) for name, command in self.daemons.items()},
            "environment": dict(self.environment),
            "logs": str(self.logs),
            "control": str(self.control),
            "folders": [str(folder) for folder in self.folders],
        }

    @classmethod
    def from_json(cls, plan: dict[str, Any]) -> Self:
        return cls(
            hostname=plan["hostname"],
            link=plan["link"],
            setup=plan["setup"],
            kernel_settings=plan["kernel_settings"],
            daemons=plan["daemons"],
            environment=plan["environment"],
            logs=Path(plan["logs"]),
            control=Path(plan["control"]),
            folders=[Path(folder) for folder in plan["folders"]],
        )
