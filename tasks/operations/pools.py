"""Airflow's pools: one slot for the tables of each pipeline, and as many for trainings as may run at the same time."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.runs.steps import Step
from tasks.spec.project import pipeline_names
from tasks.store.settings import trainings

TEXT = "One slot: only one task at a time may open the pipeline's tables."
TRAINING_POOL = "trainings"
TRAINING_TEXT = "A slot for each model that may be trained at the same time (MATINEE_TRAININGS): they share the cores."


@dataclass(frozen=True)
class Pool:
    """A pool: how many tasks may run in it at the same time, and why."""

    slots: int
    text: str


def pool_of(pipeline: str, step: Step) -> str | None:
    """Name the pool of a step's tasks, if they may not all run at the same time."""
    if step.mapped_over or step.shared:
        return TRAINING_POOL
    return _tables(pipeline) if step.reads_tables else None


def workers() -> list[int]:
    """Number the tasks that share a step's work: as many as trainings may run at the same time."""
    return list(range(1, trainings() + 1))


def pools() -> dict[str, Pool]:
    """List the pools that the pipeline files need, by name."""
    tables = {_tables(name): Pool(1, TEXT) for name in pipeline_names()}
    return {**tables, TRAINING_POOL: Pool(trainings(), TRAINING_TEXT)}


def _tables(pipeline: str) -> str:
    return f"{pipeline}.tables"
