"""Domain values to and from the wire, for every edge.

`*_to_proto` cannot fail. `*_from_proto` raises InvalidMessage, which names the field, the value and
what was expected.
"""

from stratops_wire.scalars import InvalidMessage

__all__ = ["InvalidMessage"]
