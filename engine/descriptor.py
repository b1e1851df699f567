"""The descriptor: a closed, versioned JSON document that is the ranker, with what it was made of.

These models are its schema. Unknown keys and node types are errors, so a descriptor that loads means the
same to every engine that knows its format.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, StrictBool, ValidationError, model_validator

from engine.closed import ArtifactName, Closed, FiniteFloat
from engine.errors import RESTORE, ArtifactError, DescriptorError, nearest
from engine.evaluation import Evaluation
from engine.node_schema import PopulationRankerNode, ScoringRankerNode
from engine.sealed import CHECKSUM, sealed, unsealed

FORMAT = "matinee/1"
ShortText = Annotated[str, Field(max_length=512)]
FILE = "descriptor.json"
LONGEST_FORMAT = 40


class ArtifactEntry(Closed):
    """What a file of the version must be."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


ContextKey = Annotated[str, Field(min_length=1, max_length=64)]
ContextTexts = Annotated[tuple[ShortText, ...], Field(max_length=64)]
ContextValue = StrictBool | Annotated[float, Field(strict=True, allow_inf_nan=False)] | ShortText | ContextTexts


class Request(Closed):
    """A request: up to k items for a user, from `candidates` if given.

    `context` has what is known of the request itself, such as the device, and overrides the attribute that populations
    are split by. Keys that the version does not read are ignored: a client may send them before a version reads them.
    Where lists are drawn, a request of the same `request_id` gets the same list; without one, a user's list of a day.
    """

    user_id: str = Field(min_length=1, max_length=512)
    candidates: tuple[str, ...] | None = Field(default=None, max_length=100_000)
    # Strict: "3" and 3.0 are mistakes of whoever wrote the request.
    k: int = Field(default=10, ge=1, le=10_000, strict=True)
    context: dict[ContextKey, ContextValue] = Field(default_factory=dict, max_length=64)
    request_id: ShortText | None = Field(default=None, exclude_if=lambda request_id: request_id is None)


class Ranked(Closed):
    """One item of a golden response."""

    item: str
    score: FiniteFloat
    propensity: FiniteFloat | None = Field(default=None, exclude_if=lambda propensity: propensity is None)


class Golden(Closed):
    """A request and the answer that every load of the version must give again, bit for bit.

    Of a version with an `Onnx` node: to the bit on the same processor, else within its `tolerance`.
    """

    request: Request
    response: tuple[Ranked, ...]


class Descriptor(Closed):
    """A published version."""

    format: Literal["matinee/1"] = "matinee/1"
    pipeline: str
    version: str
    as_of: date
    input: dict[str, JsonValue] = Field(
        default={"user_id": "string", "candidates": "list[string]?", "k": "integer?", "context": "map[string]?"}
    )
    catalogue: ArtifactName = "catalogue.parquet"
    ranker: Annotated[PopulationRankerNode | ScoringRankerNode, Field(discriminator="type")]
    rankers: dict[str, ScoringRankerNode] = Field(default_factory=dict)
    artifacts: dict[ArtifactName, ArtifactEntry]
    content: str = Field(pattern="^[0-9a-f]{64}$", description="`content_digest` of the artifacts.")
    lineage: dict[str, JsonValue] = Field(default_factory=dict)
    evaluation: Evaluation = Evaluation()
    golden: tuple[Golden, ...] = ()

    @model_validator(mode="after")
    def _references(self) -> Descriptor:
        if isinstance(self.ranker, PopulationRankerNode):
            if "*" not in self.ranker.of:
                raise ValueError("ranker.of has no '*': everybody else would have no ranker")
            for population, ref in self.ranker.of.items():
                if ref.target not in self.rankers:
                    raise ValueError(
                        f"ranker.of[{population!r}] points at {ref.ref}, which is not there"
                        f"{nearest(ref.target, self.rankers)}"
                    )
        for name in sorted(referenced(self)):
            if name not in self.artifacts:
                raise ValueError(f"{name!r} is used but not listed in artifacts{nearest(name, self.artifacts)}")
        return self

    @model_validator(mode="after")
    def _content(self) -> Descriptor:
        expected = content_digest(self.artifacts)
        if self.content != expected:
            raise ValueError(
                f"content is {self.content[:12]}…, but the listed artifacts have {expected[:12]}…: the descriptor was "
                "altered after publishing"
            )
        return self


def content_digest(artifacts: Mapping[str, ArtifactEntry]) -> str:
    """Return the one digest of a version's artifacts: the sha256 of the JSON list of [name, sha256], by name.

    A version is named after what it is made from; this is what it is made of.
    """
    # The spelling is part of the digest: with another one, no published version would load any more.
    listed = [[name, artifacts[name].sha256] for name in sorted(artifacts)]
    text = json.dumps(listed, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def referenced(descriptor: Descriptor) -> set[str]:
    """Collect the names of all files that the descriptor's nodes read."""
    names = {descriptor.catalogue}

    def visit(node: object) -> None:
        if isinstance(node, Closed):
            for name in type(node).model_fields:
                value = getattr(node, name)
                # Nodes that read several files name the others after what they are: `items_artifact`.
                if value is not None and (name == "artifact" or name.endswith("_artifact")):
                    names.add(value)
                visit(value)
        elif isinstance(node, tuple):
            for member in node:
                visit(member)

    for ranker in (descriptor.ranker, *descriptor.rankers.values()):
        visit(ranker)
    return names


def descriptor_schema() -> dict[str, Any]:
    """JSON schema of descriptors, for editors and other engines."""
    schema = Descriptor.model_json_schema(by_alias=True)
    # Not a field: it belongs to the file, and is checked before anything else is looked at.
    schema["properties"][CHECKSUM] = {
        "description": "sha256 of the compact JSON of all other keys, sorted: `content` covers the artifacts only.",
        "pattern": "^[0-9a-f]{64}$",
        "type": "string",
    }
    return schema


def descriptor_text(descriptor: Descriptor) -> str:
    """Write a descriptor as its one JSON text: with its checksum, sorted keys, no NaN."""
    plain = sealed(descriptor.model_dump(mode="json", by_alias=True))
    return json.dumps(plain, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_descriptor(folder: Path, descriptor: Descriptor) -> Path:
    """Write `descriptor.json` into the folder of a version: whole or not at all."""
    target = folder / FILE
    temporary = folder / f".{FILE}.new"
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(descriptor_text(descriptor))
        stream.flush()
        # Before the rename: after a power cut the name must not stand for an empty file.
        os.fsync(stream.fileno())
    temporary.replace(target)
    return target


def parse_descriptor(text: str | bytes, source: str) -> Descriptor:
    """Parse and check a descriptor; `DescriptorError` names `source`, the place and what was found."""
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:  # the second: brackets nested thousands deep
        raise DescriptorError(f"{source}: not JSON ({error}); {RESTORE}") from None
    # Asked first: of another format, validation would only list all keys that it does not know.
    written = plain.get("format") if isinstance(plain, dict) else None
    if written != FORMAT:
        # Quoted only where it may be a format: the file may be any, when the path is a link.
        found = repr(written) if isinstance(written, str) and len(written) <= LONGEST_FORMAT else "none"
        raise DescriptorError(
            f"{source}: format {found}; this engine reads {FORMAT!r}: publish the day again with this version of "
            "matinee, or restore the file from a backup"
        )
    try:
        plain = unsealed(plain)
    except ValueError as error:
        raise DescriptorError(f"{source}: {error}; restore the file from where it was published") from None
    try:
        return Descriptor.model_validate(plain)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, problem['loc'])) or 'descriptor'}: {problem['msg']}" for problem in error.errors()
        ]
        more = f" (and {len(lines) - 3} more)" if len(lines) > 3 else ""
        raise DescriptorError(f"{source}: {'; '.join(lines[:3])}{more}; {RESTORE}") from None


def read_descriptor(folder: Path) -> Descriptor:
    """Read and check `descriptor.json` of a version's folder."""
    path = folder / FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DescriptorError(
            f"{path}: cannot be read ({error.strerror}); is this a published version? If so, {RESTORE}"
        ) from None
    return parse_descriptor(content, str(path))


def artifact_entry(path: Path) -> ArtifactEntry:
    """Measure size and digest of a file, to be listed in `Descriptor.artifacts`."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return ArtifactEntry(sha256=digest, bytes=path.stat().st_size)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror}), expected an artifact; {RESTORE}") from None


def check_artifacts(folder: Path, descriptor: Descriptor, content: str | None = None) -> None:
    """Raise `ArtifactError` unless every listed file lies inside the folder and is what it was.

    With `content` given, the descriptor must be that of these contents, too.
    """
    if content is not None and descriptor.content != content:
        raise ArtifactError(
            f"{folder}: holds other contents ({descriptor.content[:12]}…) than were published under this name "
            f"({content[:12]}…); {RESTORE}"
        )
    root = folder.resolve()
    for name, expected in descriptor.artifacts.items():
        path = folder / name
        # The schema keeps names inside the folder, but a link may still lead out of it.
        if not path.resolve().is_relative_to(root):
            raise ArtifactError(f"{path}: leads out of the version's folder, expected a file inside it; {RESTORE}")
        actual = artifact_entry(path)
        if actual != expected:
            raise ArtifactError(
                f"{path}: {actual.bytes} bytes with sha256 {actual.sha256[:12]}…; expected {expected.bytes} with "
                f"{expected.sha256[:12]}…: the file was altered after publishing; {RESTORE}"
            )
