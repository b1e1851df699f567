"""Evaluate the model on the test window beside its baselines and the champion: one flat list of records.

Every contender ranks the same groups (`tasks.evaluation.held_out`), and so does every single feature, as a baseline
(`tasks.evaluation.single_features`) and to detect leakage (`tasks.evaluation.leakage`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.evaluation import CHAMPION, MODEL, MODEL_WITHOUT_RERANK, EvaluationRecord, overall
from tasks.errors import TrainingError
from tasks.evaluation.baselines import BASELINES_FILE, baselines_of
from tasks.evaluation.champion import Champion, champion_of, has_champion_gate, say_champion
from tasks.evaluation.figures import DIGITS, INTERVAL_SEED, Groups, records, say_figures
from tasks.evaluation.final_lists import FinalLists
from tasks.evaluation.held_out import HeldOut, baseline_rows, truth_of
from tasks.evaluation.item_slices import narrowed
from tasks.evaluation.leakage import LEAKAGE_FILE, leakage_of
from tasks.evaluation.noise import NoiseFloor, noise_floor
from tasks.evaluation.results import (
    GROUPS_FILE,
    RECORDS_FILE,
    REFIT,
    STEP,
    EvaluateResult,
    FigureKey,
    GroupValues,
    RerankEffect,
)
from tasks.evaluation.single_features import (
    SINGLE_FEATURES_FILE,
    compare_alone,
    measure_alone,
    read_orders,
)
from tasks.examples.arrays import matrix
from tasks.examples.item_slices import group_slices, read_item_slices
from tasks.runs.narration import counted, say
from tasks.spec.populations import EVERYBODY_ELSE
from tasks.spec.spec import Spec
from tasks.store.files import json_number
from tasks.store.records import write_list
from tasks.training.models import JUDGED, PUBLISHED, load_model
from tasks.training.noise import noise_name, noise_trainings
from tasks.training.own_models import OWN_MODELS_FILE, own_models, say_own_models, serving_populations

if TYPE_CHECKING:
    from datetime import date

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from tasks.runs.run import Run

    Rows = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_] | None]
    """A contender's score of every example, and which of them are in its lists (all of them if None)."""


def model_scores(run: Run, table: pa.Table, which: str = JUDGED) -> npt.NDArray[np.float64]:
    """Score examples with each population's model: the same code that serves. Lists are not re-ranked yet."""
    import numpy as np

    features, chosen = matrix(table, run.spec.features), populations_of(run, table)
    scores = np.zeros(table.num_rows)
    for population in serving_populations(run):
        mask = chosen == population
        scores[mask] = load_model(run, population, which).predict(features[mask])
    return scores


def populations_of(run: Run, table: pa.Table) -> npt.NDArray[np.object_]:
    """Choose the population whose model serves each row."""
    import numpy as np

    if run.spec.populations is None:
        return np.full(table.num_rows, EVERYBODY_ELSE, dtype=object)
    column = table[run.spec.populations.by].to_numpy(zero_copy_only=False)
    return np.where(np.isin(column, serving_populations(run)), column, EVERYBODY_ELSE)


def rank_groups(
    run: Run, held_out: HeldOut, lists: FinalLists, champion: Champion | None = None, truth: pa.Table | None = None
) -> Groups:
    """Measure the model, every baseline and the champion on every group.

    The champion's value of a group that it may have been trained on is undefined. `truth` is what `held_out` was made
    of; only slices by attributes of items ask for it.
    """
    rows, contenders = held_out.group_rows, _contenders(run, lists, champion)
    since = None if champion is None else champion.since
    pieces = narrowed(held_out, truth, read_item_slices(run))
    return Groups(
        users=rows["user_id"].to_pylist(),
        values=_values(run.spec, held_out, contenders, since),
        attributes={name: rows[name].to_pylist() for name in group_slices(run.spec)},
        population=list(populations_of(run, rows)),
        by_item={piece: _values(run.spec, part, contenders, since) for piece, part in pieces},
    )


def _values(
    spec: Spec, held_out: HeldOut, contenders: Mapping[str, Rows], since: date | None
) -> dict[FigureKey, npt.NDArray[np.float64]]:
    """Measure contenders on every group; the champion on those of the cuts from `since` on."""
    import numpy as np

    from engine.metrics import parse_metric

    values = {}
    for contender, (scores, listed) in counted(contenders.items(), "contenders"):
        ranked = held_out.lists(scores, listed)
        for metric in spec.evaluate.metrics:
            figures = parse_metric(metric)(ranked)
            if contender == CHAMPION and since is not None:
                new = np.asarray([cut >= since for cut in held_out.group_rows["cut"].to_pylist()])
                figures = np.where(new, figures, np.nan)
            values[FigureKey(metric, contender)] = figures
    return values


def _contenders(run: Run, lists: FinalLists, champion: Champion | None) -> dict[str, Rows]:
    table, rules = lists.table, run.spec.rerank
    model = lists.rank(model_scores(run, table), rules)
    contenders: dict[str, Rows] = {MODEL: (model.final, None)}
    if rules:
        contenders[MODEL_WITHOUT_RERANK] = (model.scores, None)
    contenders |= {name: baseline_rows(run.spec, table, name) for name in run.spec.evaluate.baselines}
    if run.spec.publish.refit:
        contenders[REFIT] = (lists.rank(model_scores(run, table, PUBLISHED), rules).final, None)
    if champion is not None and champion.scores is not None:
        contenders[CHAMPION] = (champion.scores, None)
    return contenders


def evaluate_step(run: Run) -> EvaluateResult:
    """Write the records, the per-group values that gates compare in pairs, and the power of each feature alone.

    Raises:
        TrainingError: the test window has no group with something to find.
    """
    table, own = evaluated_examples(run), own_models(run)
    say_own_models(own)
    lists = FinalLists(run, table)
    champion = champion_of(lists) if has_champion_gate(run.spec) else None
    if champion is not None:
        say_champion(champion, run.as_of, "gates against it pass")
    truth = truth_of(run)
    held_out = HeldOut.of(run.spec, table, truth)
    primary = run.spec.gates[0].metric
    groups, orders = rank_groups(run, held_out, lists, champion, truth), read_orders(run, table)
    _say_groups(run, held_out, groups)
    alone, noise = measure_alone(run, held_out, orders), _noise(run, held_out, lists)
    groups = replace(groups, values={**groups.values, **alone.values})
    figures, single = records(run.spec, groups), compare_alone(run.spec, groups, alone, noise)
    say_figures(figures, primary)
    baselines = {name: groups.values[FigureKey(primary, name)] for name in run.spec.evaluate.baselines}
    leakage = leakage_of(run.spec, held_out, baselines, orders)
    result = EvaluateResult(
        groups=len(groups.users),
        metrics=_values_by_metric(run.spec, figures),
        suspicious=tuple(power.feature for power in leakage.suspicious),
        champion=None if champion is None else champion.record(),
        rerank=rerank_effects(run.spec, groups),
        best_feature=single.best,
        noise=noise,
    )
    if result.rerank:
        say("re-ranking changes {effects}", effects=[effect.text for effect in result.rerank])
    with run.write(STEP) as folder:
        write_list(folder.path / RECORDS_FILE, figures)
        leakage.write(folder.path / LEAKAGE_FILE)
        single.write(folder.path / SINGLE_FEATURES_FILE)
        groups.write(folder.path / GROUPS_FILE)
        write_list(folder.path / OWN_MODELS_FILE, own)
        baselines_of(run.spec, held_out, truth, groups).write(folder.path / BASELINES_FILE)
        folder.result = result
    return result


def _noise(run: Run, held_out: HeldOut, lists: FinalLists) -> NoiseFloor | None:
    """Measure the models that `train` has trained again; None where it has not."""
    trainings = noise_trainings(run.spec)
    if not trainings:
        return None
    scores = (model_scores(run, lists.table, noise_name(number)) for number in range(1, trainings + 1))
    floor = noise_floor(run.spec, held_out, lists, scores)
    say("the noise of training: {_noise}", _noise=floor.text)
    return floor


def rerank_effects(spec: Spec, groups: GroupValues) -> tuple[RerankEffect, ...]:
    """Compare the final lists with those before they were re-ranked, group by group; nothing where they are not."""
    from engine.intervals import paired_interval, user_blocks

    blocks, effects = user_blocks(groups.users, INTERVAL_SEED), []
    for metric in spec.evaluate.metrics:
        final, before = groups.of(metric, MODEL), groups.of(metric, MODEL_WITHOUT_RERANK)
        if final is not None and before is not None:
            span = paired_interval(final, before, blocks, INTERVAL_SEED)
            value, low, high = (json_number(number, DIGITS) for number in (span.value, span.low, span.high))
            effects.append(RerankEffect(metric=metric, value=value, low=low, high=high))
    return tuple(effects)


def _say_groups(run: Run, held_out: HeldOut, groups: Groups) -> None:
    cuts = run.windows.test
    say(
        "{groups:,} groups of {users:,} users in the test cuts {first} to {last}, {examples:,} examples",
        groups=len(groups.users), users=len(set(groups.users)), first=cuts[0], last=cuts[-1],
        examples=held_out.table.num_rows,
    )  # fmt: skip


def evaluated_examples(run: Run) -> pa.Table:
    """Read the examples of the test window.

    Raises:
        TrainingError: no group of it has something to find.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(run.file("sample", "test.parquet"))
    if not table.num_rows:
        cuts = run.windows.test
        raise TrainingError(
            f"{run.spec.name} {run.as_of}: no group of the test cuts {cuts[0]} to {cuts[-1]} has a positive label, "
            "so nothing can be evaluated; check `label` and `examples.test`"
        )
    return table


def _values_by_metric(spec: Spec, figures: Sequence[EvaluationRecord]) -> dict[str, dict[str, float | None]]:
    metrics = {}
    for metric in spec.evaluate.metrics:
        rows = {name: overall(figures, metric, name) for name in (MODEL, *spec.evaluate.baselines, CHAMPION)}
        metrics[metric] = {name: row.value for name, row in rows.items() if row}
    return metrics
