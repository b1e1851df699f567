"""The texts in Airflow's pages: what a pipeline is, and what each of its steps does."""

from __future__ import annotations

from dags.timetable import BY_HAND
from tasks.runs.steps import steps_of
from tasks.spec.parts import BeatsGate, NotWorseGate
from tasks.spec.spec import Spec


def page(spec: Spec) -> str:
    """Write the documentation page of a pipeline, in Markdown."""
    by = f"one per `{spec.populations.by}`" if spec.populations else "one for everybody"
    until = f" until {spec.end}" if spec.end else ""
    return "\n".join(
        [
            f"## {spec.name}",
            spec.description,
            "",
            f"Covers the days from {spec.start}{until}; declared by `pipelines/{spec.name}.yaml`.",
            "",
            "| | |",
            "|---|---|",
            f"| **Owner** | {spec.owner} |",
            *(f"| **Link** | [{name}]({address}) |" for name, address in spec.links.items()),
            f"| **Schedule** | {f'`{spec.schedule}`' if spec.schedule else BY_HAND} |",
            f"| **Source** | {spec.source_name} |",
            f"| **Label** | {spec.label.horizon} days ahead, rows up to {spec.label.lateness} days late |",
            *(f"| grade {rule.grade} | `{_cell(rule.condition)}` |" for rule in spec.label.grades),
            f"| **Examples** | {spec.examples.kind}: {spec.examples.train} days to train on, "
            f"{spec.examples.test} days to evaluate on |",
            f"| **Features** | {', '.join(f'`{name}`' for name in spec.features)} |",
            f"| **Retrieval** | {', '.join(part.identity for part in spec.retrieval)} |",
            f"| **Model** | {spec.ranker.summary}, {by} |",
            f"| **Metrics** | {', '.join(spec.evaluate.metrics)} |",
            *(f"| **Gate** | {_gate(gate)} |" for gate in spec.gates),
            f"| **Published as** | `{spec.publish.alias}` |",
            "",
            "### Steps",
            *(f"* **{step.name}**: {step.does}" for step in steps_of(spec)),
        ]
    )


def _cell(text: str) -> str:
    # A bar would end the cell, a line break the table.
    return " ".join(text.split()).replace("|", "\\|")


def _gate(gate: BeatsGate | NotWorseGate) -> str:
    if isinstance(gate, BeatsGate):
        return f"{gate.metric} beats {gate.beats} by {gate.by:g}"
    return f"{gate.metric} is not worse than {gate.not_worse_than} by more than {gate.margin:g}"
