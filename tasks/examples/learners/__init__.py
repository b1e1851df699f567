"""Retrieval models, a module for each kind; `tasks/examples/retrievers.py` is the registry of all."""
