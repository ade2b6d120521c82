"""The quotes that ship with the package: BTCUSDT and ETHUSDT; their NOTICE beside them."""

from importlib.resources import files
from pathlib import Path


def paths() -> tuple[Path, ...]:
    folder = Path(str(files(__name__)))
    return tuple(sorted(folder.glob("quotes_*.csv.gz")))
