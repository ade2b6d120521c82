"""Values of which every signal makes some: frozen to the type checker, plain to the processor.

A frozen dataclass sets each of its fields by a call: an order of 25 fields takes six times as long
to make as a plain one. mypy holds these frozen as it does any other; at run time nothing does.
"""

from typing import TYPE_CHECKING, Any

__all__ = ["value"]

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool) -> Any:
        """Written as `dataclass`, with `frozen=True`."""
        assert frozen
        return dataclass(slots=slots, unsafe_hash=True)
