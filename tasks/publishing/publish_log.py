"""What the step `publish` says: the version, and what its publication does not change, or makes outdated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.publishing.results import PublishResult
from tasks.runs.narration import say, warn
from tasks.store.registry import alias

if TYPE_CHECKING:
    from engine.descriptor import Descriptor
    from tasks.runs.run import Run


def say_version(descriptor: Descriptor, answers: int) -> None:
    """Log what a version consists of.

    Args:
        descriptor: the version's.
        answers: golden answers that it gave.
    """
    say(
        "{version}: {files} files, {megabytes:.1f} MB, {answers} golden answers; it is loaded as a server would",
        version=descriptor.version, files=len(descriptor.artifacts), answers=answers,
        megabytes=sum(artifact.bytes for artifact in descriptor.artifacts.values()) / 1e6,
    )  # fmt: skip


def warn_of_what_follows(run: Run, published: PublishResult) -> None:
    """Log that the alias stays where it is, and which days' comparisons with the champion are outdated now."""
    if not published.alias_moved:
        current = alias(run.home, run.spec.name, published.alias)
        warn(
            "the alias {alias} stays at {current}: a day that is run later never moves it back",
            alias=published.alias, current="nothing" if current is None else current.version,
        )  # fmt: skip
    if again := published.to_judge_again:
        warn(
            "{days} later days were compared with another champion than they would be now: {which}; run them again",
            days=len(again), which=again,
        )  # fmt: skip
