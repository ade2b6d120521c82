"""The single writer: the only thing that may send an order.

`desk` owns all state on one event loop; `journal` makes it durable before anybody is told.
"""
