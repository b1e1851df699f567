"""Part of the run report about what the run was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.examples.candidates import RetrieveResult
from tasks.publishing.results import GATE_STEP, PUBLISH_STEP, GateResult, PublishResult
from tasks.sources.land import LandResult
from tasks.store.files import Home, canonical_json
from tasks.store.run_files import optional

if TYPE_CHECKING:
    from tasks.runs.run import Run


@dataclass(frozen=True)
class Lineage:
    """What a run was made from.

    Attributes:
        version: the version it published.
        would_be: the version that it would have published.
        champion: the version it was compared with.
        descriptor: path of the descriptor, relative to the state folder.
        artifacts: size and digest of each artifact, by name.
        data: digest of the landing.
        code: digest of the code.
        libraries: versions of the libraries, by name.
        spec: the pipeline file as canonical JSON.
        landed: what was landed for it.
    """

    version: str | None
    would_be: str | None
    champion: str | None
    descriptor: str | None
    artifacts: Mapping[str, Any]
    data: str | None
    code: str | None
    libraries: Mapping[str, str]
    spec: str | None
    landed: LandResult | None


@dataclass(frozen=True)
class PublishedVersion:
    """What the descriptor of a published version says of its origin."""

    path: str | None = None
    artifacts: Mapping[str, Any] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)


def lineage(run: Run) -> Lineage | None:
    """Gather what the run was made from: its landing, and, once it has published, what the descriptor says.

    None if not even the landing is there.
    """
    land = LandResult.read_if_valid(run.step_dir("land") / "result.json")
    retrieve = RetrieveResult.read_if_valid(run.step_dir("retrieve") / "result.json")
    published = PublishResult.read_if_valid(run.step_dir(PUBLISH_STEP) / "result.json")
    gate = GateResult.read_if_valid(run.step_dir(GATE_STEP) / "result.json")
    if land is None and retrieve is None and published is None:
        return None
    version = published_version(run.home, published)
    spec = version.lineage.get("spec")
    return Lineage(
        version=None if published is None else published.version,
        would_be=None if gate is None else gate.version,
        champion=None if gate is None else gate.champion,
        descriptor=version.path,
        artifacts=version.artifacts,
        data=version.lineage.get("data") or (None if retrieve is None else retrieve.data),
        code=version.lineage.get("code"),
        libraries=version.lineage.get("libraries", {}),
        spec=None if spec is None else canonical_json(spec),
        landed=land if land and land.rows else None,
    )


def published_version(home: Home, published: PublishResult | None) -> PublishedVersion:
    """Read the descriptor of a published version; empty where there is none that can be read."""
    if published is None:
        return PublishedVersion()
    path = f"{published.path}/descriptor.json"
    # Not parsed as a descriptor: the page shows what is there, also of versions that this engine does not read.
    descriptor = optional(home.root / path)
    if not isinstance(descriptor, Mapping):
        return PublishedVersion()
    artifacts, lineage = (descriptor.get(key) for key in ("artifacts", "lineage"))
    return PublishedVersion(
        path,
        artifacts if isinstance(artifacts, Mapping) else {},
        lineage if isinstance(lineage, Mapping) else {},
    )
