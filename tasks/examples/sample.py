"""Examples = candidates ⟕ features ⟕ labels, and the stratified sample of groups that is trained on.

One SQL statement makes the examples of every pipeline. Groups are drawn first (`tasks.examples.sampling`) and joined
with their features afterwards, so that nothing is computed for rows that are not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from tasks.errors import TrainingError
from tasks.examples import queries
from tasks.examples.candidates import candidate_files
from tasks.examples.feature_sql import CODES
from tasks.examples.item_slices import write_item_slices
from tasks.examples.positives import Positives, positives_of
from tasks.examples.sampling.draw import StratumDraw, draw, strata_counts
from tasks.examples.sampling.notices import draw_notices
from tasks.examples.sampling.queries import negatives
from tasks.features.engines import warehouse_of
from tasks.features.warehouse import Tables
from tasks.runs.narration import amounts, counted, say, warn_each
from tasks.spec.feature_catalog import KEYS
from tasks.spec.resolved_features import OverlapFeature
from tasks.spec.spec import Spec
from tasks.store.files import read_json, write_json
from tasks.store.records import Record

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.runs.run import Run

STRATA_FILE = "strata.json"
CATEGORIES_FILE = "categories.json"
"""The dictionary of a run: by feature, its texts in ascending order. A text's code is its place."""


class SampleResult(Record):
    """What the step `sample` wrote.

    Attributes:
        strata: what was drawn to train on.
        new_strata: groups of the test window by stratum, where nothing of a stratum could be drawn to train on.
        rows: examples by file.
        populations: drawn groups by population.
        serving: rows of the features as of the run's day, by entity, or by feature that has a file of its own.
        positives: of the examples to learn from and to test on.
    """

    strata: tuple[StratumDraw, ...]
    new_strata: dict[str, int] = Field(default_factory=dict)
    rows: dict[str, int]
    populations: dict[str, int]
    serving: dict[str, int]
    positives: dict[str, Positives]

    def summary(self) -> str:
        """Rows by file, and the groups they come from."""
        drawn, groups = sum(draw.drawn for draw in self.strata), sum(draw.groups for draw in self.strata)
        return f"{drawn:,} of {groups:,} groups drawn to train on; examples: {amounts(self.rows)}"


def sample_step(run: Run) -> SampleResult:
    """Write `train`, `validation`, `test` and `refit` examples, `truth` for snapshots, and the strata.

    Raises:
        TrainingError: no group has a positive label.
    """
    spec, windows = run.spec, run.windows
    # Validation examples are drawn, as they are trained on in the end; the truth of both windows is whole.
    fit, held_out = (*windows.train, *windows.validation), (*windows.validation, *windows.test)
    with warehouse_of(run.home, spec.name).open() as tables, run.write("sample") as folder:
        tables.add("candidates", list(candidate_files(run).values()))
        categories = _add_categories(tables, run)
        tables.create("groups", queries.groups(spec, type(tables)))
        strata = draw(tables, spec, "fit", fit)
        if not strata:
            raise TrainingError(_no_positive(run, fit))
        _say_draw(run, strata, len(fit))
        if spec.publish.refit:
            draw(tables, spec, "refit", windows.refit)
        if spec.examples.kind == "snapshots":
            tables.create("seen_labels", queries.seen_among(spec, "labels", held_out))
            tables.create("truth", queries.truth(spec, held_out, type(tables)))
            tables.write("select * from truth order by cut, group_id, item_id", folder.path / "truth.parquet")
        tables.create("judged", queries.judged(spec, held_out))
        folder.result = result = SampleResult(
            strata=strata,
            new_strata=_new_strata(tables, run, strata),
            rows=_write_examples(tables, run, folder.path),
            populations=_population_counts(tables, spec),
            serving=_serving_features(tables, run, folder.path / "serving"),
            positives=positives_of(folder.path),
        )
        write_item_slices(tables, run, folder.path)
        if categories:
            write_json(folder.path / CATEGORIES_FILE, categories)
        write_json(folder.path / STRATA_FILE, [stratum.to_json() for stratum in strata])
    warn_each(draw_notices(spec.sample, result.strata, result.new_strata), "the run's report has them, too")
    say("features as of {day}, to serve: {rows}", day=run.as_of, rows=result.serving)
    return result


def _say_draw(run: Run, strata: Sequence[StratumDraw], cuts: int) -> None:
    spec = run.spec.sample
    whole = sum(draw.drawn == draw.groups for draw in strata)
    say(
        "{groups:,} groups of {cuts} cuts have something to learn; {drawn:,} are drawn over {strata:,} strata of "
        "{names} ({allocation}, at least {floor:,} of each; {whole:,} strata are taken whole)",
        groups=sum(draw.groups for draw in strata), cuts=cuts, drawn=sum(draw.drawn for draw in strata),
        strata=len(strata), names=" and ".join(spec.strata) or "everything", allocation=spec.allocation,
        floor=spec.floor, whole=whole,
    )  # fmt: skip


def _new_strata(tables: Tables, run: Run, drawn: Sequence[StratumDraw]) -> dict[str, int]:
    """The groups of the test window by stratum, for strata of which there was nothing to draw."""
    known = {tuple(draw.stratum.values()) for draw in drawn}
    counts = strata_counts(tables, run.spec, run.windows.test)
    return {" · ".join(stratum): count for stratum, count in counts.items() if stratum not in known}


def _write_examples(tables: Tables, run: Run, folder: Path) -> dict[str, int]:
    """Write a file for each window; return their rows."""
    windows = run.windows
    tables.create("seen_candidates", queries.seen_among(run.spec, "candidates", windows.test))
    parts = {
        "train": ("fit", windows.train),
        "validation": ("fit", windows.validation),
        # Nothing is drawn to evaluate on: every group counts, with the weight 1.
        "test": ("judged", windows.test),
        **({"refit": ("refit", windows.refit)} if run.spec.publish.refit else {}),
    }
    rows = {}
    for name, (drawn, cuts) in counted(parts.items(), "files"):
        # Only where lists are evaluated does it matter how much of them was seen.
        seen = "seen_candidates" if name == "test" else None
        trained = None if name == "test" else _choose_negatives(tables, run.spec, drawn, cuts)
        query = queries.examples(run.spec, drawn, cuts, type(tables), queries.Marks(seen, trained))
        rows[name] = tables.write(query, folder / f"{name}.parquet")
        say("{file}: {rows:,} examples of {cuts} cuts", file=name, rows=rows[name], cuts=len(cuts))
    return rows


def _choose_negatives(tables: Tables, spec: Spec, drawn: str, cuts: Sequence[date]) -> str | None:
    """Make the relation of the candidates that are trained on, and name it; None where all are."""
    if spec.sample.negatives is None:
        return None
    tables.create("trained", negatives(spec, spec.sample.negatives, drawn, cuts))
    return "trained"


def categories_file(run: Run) -> Path:
    """Locate the dictionary of the texts that features are codes of; there is none of a run without such features."""
    return run.step_dir("sample") / CATEGORIES_FILE


def read_categories(run: Run) -> dict[str, list[str]]:
    """Read that dictionary; an empty one where there is none."""
    path = categories_file(run)
    texts: dict[str, list[str]] = read_json(path) if path.exists() else {}
    return texts


def _add_categories(tables: Tables, run: Run) -> dict[str, list[str]]:
    """Make the run's dictionary, and add it as the relation that examples get the codes of texts from.

    Its texts are those known as of the run's cuts and its day: the same whichever other days were built.
    """
    features = queries.category_features(run.spec)
    if not features:
        return {}
    texts: dict[str, list[str]] = {feature.name: [] for feature in features}
    for name, value in tables.rows(queries.categories(run.spec, [*run.windows.refit, run.as_of])):
        texts[name].append(value)
    categories = {name: sorted(values) for name, values in texts.items()}
    tables.add(CODES, codes_table(categories))
    return categories


def codes_table(categories: Mapping[str, Sequence[str]]) -> pa.Table:
    """A dictionary as rows: feature, text (`value`) and code."""
    import pyarrow as pa

    rows = [(name, value, code) for name, values in categories.items() for code, value in enumerate(values)]
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    types = {"feature": pa.string(), "value": pa.string(), "code": pa.int32()}
    return pa.table({name: pa.array(column, kind) for (name, kind), column in zip(types.items(), columns, strict=True)})


def _serving_features(tables: Tables, run: Run, folder: Path) -> dict[str, int]:
    """Write the features as of the run's day, which serve tomorrow: the same tables, no second implementation."""
    spec = run.spec
    rows: dict[str, int] = {}
    for entity in KEYS:
        query = queries.serving(spec, entity, run.as_of)
        if query:
            rows[entity] = tables.write(query, folder / f"{entity}.parquet")
    for feature in spec.resolved_features:
        if isinstance(feature, OverlapFeature):
            query = queries.user_values(feature, run.as_of)
            rows[feature.name] = tables.write(query, folder / f"{feature.name}.parquet")
    return rows


def _population_counts(tables: Tables, spec: Spec) -> dict[str, int]:
    """The drawn groups of each population."""
    if spec.populations is None:
        return {}
    rows = tables.rows(queries.populations(spec.populations.by))
    return {str(name): int(count) for name, count in rows}


def _no_positive(run: Run, cuts: Sequence[date]) -> str:
    rules = "; ".join(f"grade {rule.grade} when {rule.condition}" for rule in run.spec.label.grades)
    return (
        f"{run.spec.name} {run.as_of}: none of the candidates of the cuts {cuts[0]} to {cuts[-1]} has a grade above "
        f"0, so there is nothing to learn. The rules are: {rules}. Look at `label` in the pipeline file and at the "
        "kinds and values in the table `interactions`."
    )
