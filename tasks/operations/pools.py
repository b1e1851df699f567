"""Airflow's pools: one slot for the tables of each pipeline, so that pipelines do not wait for each other."""

from __future__ import annotations

from tasks.spec.project import pipeline_names

TEXT = "One slot: only one task at a time may open the pipeline's tables."


def pool_of(pipeline: str) -> str:
    """Name the pool of the tasks that open a pipeline's tables."""
    return f"{pipeline}.tables"


def pools() -> dict[str, str]:
    """List the pools that the pipeline files need, with a sentence on each."""
    return {pool_of(name): TEXT for name in pipeline_names()}
