"""A real Kubernetes of one node, for tests and developers: no Docker, only Linux and root.

Its programs are built from their Go modules, once (`binaries`); a cluster runs them in namespaces
of its own (`node`, `supervisor`, `guard`), so that ending one process ends all of it.
"""
