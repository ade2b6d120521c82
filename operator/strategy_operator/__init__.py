"""The operator: Strategy resources become runner pods, and what the gateway is asked for.

`reconcile` decides, purely; kopf, the API server and the gateway stand at the edge.
"""
