"""How one revision of a strategy takes over from another: both halves, pure.

`grants` is the gateway's half, `replica` the runner's; they speak `messages`. See docs/handover.md.
"""
