"""Types of retrieval that have a module of their own; `tasks/spec/retrieval.py` lists all."""
