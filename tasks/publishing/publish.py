"""Publish: the descriptor, its artifacts and golden answers, as a version that is complete or absent.

`version = <as-of day>.<digest of the canonical spec, the landed data and the code>`: equal inputs give the same
version, byte for byte, whoever runs them and how often.
"""

from __future__ import annotations

import shutil
import tempfile
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.evaluation import CHAMPION, MODEL, Evaluation, EvaluationRecord
from tasks.errors import GateFailed, RegistryError
from tasks.evaluation import results as evaluation_results
from tasks.evaluation.champion import against_champion, outdated_verdicts
from tasks.evaluation.results import RECORDS_FILE, EvaluateResult
from tasks.examples.candidates import RetrieveResult, chosen_spec, made_folders
from tasks.examples.rerank import KINDS_FILE, kinds_read
from tasks.examples.sample import CATEGORIES_FILE, categories_file
from tasks.examples.seen import SEEN_FILE
from tasks.features.build import landing_digest, libraries
from tasks.features.ledger import BuildRequest
from tasks.publishing.golden import golden_contexts, golden_requests, requested
from tasks.publishing.nodes import KINDS_ARTIFACT, SEEN_ARTIFACT, bands_node, ranker_node
from tasks.publishing.publish_log import say_version, warn_of_what_follows
from tasks.publishing.results import GATE_STEP, PUBLISH_STEP, GateResult, GateVerdict, PublishResult
from tasks.runs.provenance import code_digest
from tasks.runs.sql_lineage import sql_of
from tasks.spec.learner_files import learner_files
from tasks.spec.populations import EVERYBODY_ELSE, slug
from tasks.store.files import checked_file, digest
from tasks.store.records import read_list
from tasks.store.registry import add_version, move_alias, version_dir, withdraw
from tasks.store.timeline import TimelineEvent, verdict_on
from tasks.training.models import PUBLISHED, function_node, model_files
from tasks.training.negatives import correction_text
from tasks.training.own_models import OWN_MODELS_FILE, OwnModel, serving_populations
from tasks.training.rankers import loss

if TYPE_CHECKING:
    from pydantic import JsonValue

    from engine.descriptor import Descriptor
    from tasks.runs.run import Run

_JSON_TYPES = {"number": "number?", "boolean": "boolean?", "text": "string?", "list": "list[string]?"}


def lineage(run: Run, data: str) -> dict[str, Any]:
    """Collect what a version is made from; its digest is the version's name.

    Args:
        run: the run that makes it.
        data: digest of the landing that the run sees.
    """
    learners = learner_files(run.spec)
    return {
        "spec": run.spec.canonical(),
        "data": data,
        "code": digest([code_digest(), sql_of(run.spec).digest, *([learners] if learners else [])]),
        "libraries": libraries(),
        # Without the attempt: whichever makes the version, it has the same name.
        "run": f"{run.spec.name}/{run.as_of}",
    }


def version_name(run: Run, made_from: dict[str, Any]) -> str:
    """Name the version that a run makes."""
    return f"{run.as_of}.{digest(made_from)[:8]}"


def version_of(run: Run, need: BuildRequest) -> str:
    """Name the version that a run will make of the landing as it is."""
    return version_name(run, lineage(run, landing_digest(need.partitions)))


def this_version(run: Run) -> str:
    """Name the version that an attempt makes, from what it has retrieved."""
    return version_name(run, lineage(run, run.read("retrieve", RetrieveResult).data))


def withdraw_version(run: Run) -> None:
    """Withdraw the version of a run that fails a gate now, if an earlier evaluation published it."""
    name, alias, version = run.spec.name, run.spec.publish.alias, this_version(run)
    last_event = verdict_on(run.home, name, alias, version)
    if last_event is not None and not last_event.withdrawn:
        event = _event(run, version, last_event.content, "evaluated again: a gate failed")
        withdraw(run.home, name, event)


def copy_artifacts(run: Run, folder: Path) -> list[str]:
    """Copy everything the ranker reads into a version's folder, and list the names."""
    models, sample = made_folders(run)[run.as_of], run.step_dir("sample")
    sources = {"catalogue.parquet": checked_file(models, "catalogue.parquet")}
    fitted = [file for part in run.spec.retrieval for file in part.files]
    sources |= {f"retrieval/{file}": checked_file(models, file) for file in fitted}
    if run.spec.candidates.seen != "keep":
        sources[SEEN_ARTIFACT] = checked_file(models, SEEN_FILE)
    if kinds_read(run.spec.rerank):
        sources[KINDS_ARTIFACT] = checked_file(models, KINDS_FILE)
    served = sorted(path.name for path in (sample / "serving").glob("*.parquet"))
    sources |= {f"features/{name}": run.file("sample", f"serving/{name}") for name in served}
    if categories_file(run).exists():
        sources[CATEGORIES_FILE] = run.file("sample", CATEGORIES_FILE)
    for name in serving_populations(run):
        sources |= {f"{slug(name)}/{file}": path for file, path in model_files(run, name, PUBLISHED).items()}
    for name, source in sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)
    return sorted(sources)


def chosen_retrieval(run: Run) -> dict[str, Any]:
    """The settings of the retrievals, as lineage, where they are not those of the pipeline file."""
    spec = chosen_spec(run)
    return {} if spec is run.spec else {"retrieval": spec.canonical()["retrieval"]}


def describe(run: Run, folder: Path, names: list[str], version: str, made_from: dict[str, Any]) -> Descriptor:
    """Write the descriptor of a version, still without golden answers."""
    from engine.descriptor import Descriptor, artifact_entry, content_digest
    from engine.functions.schema import below
    from engine.node_schema import PopulationRankerNode, Ref

    artifacts = {name: artifact_entry(folder / name) for name in names}
    functions = {name: below(slug(name), function_node(run, name, PUBLISHED)) for name in serving_populations(run)}
    retrieval = folder / "retrieval"
    rankers = {name: ranker_node(run.spec, function, retrieval) for name, function in functions.items()}
    split = run.spec.populations
    ranker: Any = rankers[EVERYBODY_ELSE]
    if split is not None:
        ranker = PopulationRankerNode(
            by=split.by,
            bands=bands_node(run.spec, split.by),
            artifact="features/user.parquet",
            of={name: Ref.to(name) for name in rankers},
        )
    read: dict[str, JsonValue] = {part.name: _JSON_TYPES[part.type] for part in requested(run.spec)}
    return Descriptor(
        pipeline=run.spec.name,
        version=version,
        as_of=run.as_of,
        input={**Descriptor.model_fields["input"].default, **({"context": read} if read else {})},
        ranker=ranker,
        rankers=rankers if split is not None else {},
        artifacts=artifacts,
        content=content_digest(artifacts),
        lineage=made_from,
        evaluation=evaluation(run),
    )


def evaluation(run: Run) -> Evaluation:
    """Collect the figures, and say which model they are of.

    What depends on the registry (who was champion) stands in the timeline instead, so that a version is the same
    whichever days were run before it.
    """
    records = read_list(run.step_dir(evaluation_results.STEP) / RECORDS_FILE, EvaluationRecord)
    windows = run.windows
    evaluated = f"trained on the cuts {windows.train[0]} to {(windows.validation or windows.train)[-1]}"
    published = f"the same settings, trained on the cuts {windows.refit[0]} to {windows.refit[-1]}"
    more = {
        "gates": [verdict.to_json() for verdict in _verdicts(run, champion=False)],
        "window": [str(windows.test[0]), str(windows.test[-1])],
        "figures_of": f"the evaluated model, {evaluated}",
        "loss": loss(run.spec, run.spec.ranker),
        "published_model": published if run.spec.publish.refit else f"the evaluated model, {evaluated}",
    }
    if (noise := run.read(evaluation_results.STEP, EvaluateResult).noise) is not None:
        more["noise"] = noise.to_json()
    if own := read_list(run.step_dir(evaluation_results.STEP) / OWN_MODELS_FILE, OwnModel):
        more["own_models"] = [model.to_json() for model in own]
    if negatives := correction_text(run.spec):
        more["negatives"] = negatives
    return Evaluation(records=tuple(record for record in records if record.of != CHAMPION), **more)


def write_version(run: Run, folder: Path, version: str, made_from: dict[str, Any]) -> str:
    """Fill a folder with a whole version, load it as a server would, and digest its artifacts."""
    from engine.descriptor import write_descriptor
    from engine.ranking import golden, load

    descriptor = describe(run, folder, copy_artifacts(run, folder), version, made_from)
    write_descriptor(folder, descriptor)
    # A version without golden answers is refused, so it is loaded as an unpublished one to give them.
    answers = golden(load(folder, unpublished=True), golden_requests(folder, golden_contexts(run)))
    say_version(descriptor, len(answers))
    write_descriptor(folder, descriptor.model_copy(update={"golden": answers}))
    load(folder)
    return descriptor.content


def publish_step(run: Run) -> PublishResult:
    """Add the version to the registry and move the alias, if all gates passed.

    Raises:
        GateFailed: one did not; nothing is published.
        RegistryError: the disk is full, or the same version is there with other contents.
    """
    # A gate leaves a result when it fails, too, and a single step can be called from the shell.
    if not run.read(GATE_STEP, GateResult).passed:
        raise GateFailed(f"{run.spec.name} {run.as_of}: a gate failed, so nothing is published")
    made_from = lineage(run, run.read("retrieve", RetrieveResult).data)
    version = version_name(run, made_from)
    # Behind the name: what was chosen follows from what the name is made of.
    content, new = _build_version(run, version, made_from | chosen_retrieval(run))
    event = _event(run, version, content, "all gates passed")
    live = move_alias(run.home, run.spec.name, event)
    result = PublishResult(
        version=version,
        path=str(version_dir(run.home, run.spec.name, version).relative_to(run.home.root)),
        new=new,
        alias=run.spec.publish.alias,
        alias_moved=live,
        content=content,
        metrics=event.metrics,
        to_judge_again=tuple(day for day in outdated_verdicts(run.home, run.spec) if day > run.as_of),
    )
    warn_of_what_follows(run, result)
    # Last: a step that is killed before this is run again, finds the version there, and leaves the alias where it is.
    with run.write(PUBLISH_STEP) as folder:
        folder.result = result
    return result


def _build_version(run: Run, version: str, made_from: dict[str, Any]) -> tuple[str, bool]:
    """Build a version beside the others and add it to the registry.

    Returns:
        Its content digest, and whether it was not in the registry before.

    Raises:
        RegistryError: the disk is full, or the same version is there with other contents.
    """
    root = run.home.registry(run.spec.name)
    root.mkdir(parents=True, exist_ok=True)
    # On the file system of the registry: only there is adding the version one rename.
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=root))
    try:
        # mkdtemp lets nobody else in, but servers may run as another user.
        building.chmod(0o755)
        content = write_version(run, building, version, made_from)
        return content, add_version(run.home, run.spec.name, version, building, content)
    except OSError as error:
        raise RegistryError(
            f"{root}: the version {version} could not be written ({error.strerror}); nothing was published and the "
            "alias has not moved. Free some space, or fix the disk, then run this step again"
        ) from None
    finally:
        # Once the version has been added there is nothing here: adding it has renamed the folder.
        shutil.rmtree(building, ignore_errors=True)


def _verdicts(run: Run, *, champion: bool) -> list[GateVerdict]:
    """Read the verdicts of the gates against the champion, or all others; those of no gate of the file are others."""
    pairs = zip_longest(run.spec.gates, run.read(GATE_STEP, GateResult).gates)
    return [verdict for gate, verdict in pairs if (gate is not None and against_champion(gate)) == champion]


def _event(run: Run, version: str, content: str, why: str) -> TimelineEvent:
    evaluated = run.read(evaluation_results.STEP, EvaluateResult)
    compared: dict[str, Any] = {}
    # A pipeline without a gate on the champion leaves these two keys out, so that they do not claim a comparison.
    if evaluated.champion is not None:
        against = tuple(verdict.to_json() for verdict in _verdicts(run, champion=True))
        compared = {"against_champion": against, "champion": evaluated.champion.version}
    return TimelineEvent(
        version=version,
        alias=run.spec.publish.alias,
        as_of=run.as_of,
        content=content,
        why=why,
        run=f"{run.spec.name}/{run.as_of}",
        metrics={metric: values[MODEL] for metric, values in evaluated.metrics.items()},
        **compared,
    )
