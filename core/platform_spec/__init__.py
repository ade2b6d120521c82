"""The resources as users write them: frozen models, their revisions, and reading them from YAML.

One source: the custom resource definitions are made from these models. Nothing here does I/O.
"""
