"""An OrderExecution server that fills against the live feed's bid and ask.

`PaperVenue` decides, synchronously; `Store` makes its decisions durable; `Publisher` tells the
world of fills; `OrderService` is the gRPC side. docs/venue.md has the rules of filling.
"""
