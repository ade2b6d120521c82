"""The instrument catalogue: a file, or the one that ships with the package."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import msgspec

from trading.instruments import Instrument, InvalidCatalogue, parse_catalogue


def load(path: str | Path | None = None) -> Mapping[str, Instrument]:
    """Instruments by symbol; the shipped ones without a path. Raises InvalidCatalogue."""
    source = files("market_data") / "instruments.json" if path is None else Path(path)
    try:
        document = msgspec.json.decode(source.read_bytes())
    except OSError as error:
        raise InvalidCatalogue(f"catalogue {path}: {error.strerror}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidCatalogue(f"catalogue {path}: not JSON: {error}") from error
    return parse_catalogue(document)
