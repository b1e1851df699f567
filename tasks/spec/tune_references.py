"""What of `tune` refers to nothing, or does not go together with the rest of a pipeline file."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from tasks.spec.rankers import LightGBM, Ranker, with_settings
from tasks.spec.spec import Spec
from tasks.spec.tune import MOST_POINTS, Tune, TuneRetrieval, tunable
from tasks.spec.yaml_lines import unknown_name

Problem = tuple[tuple[str | int, ...], str]
"""The place of a key, and what is wrong with its value."""


def tune_problems(spec: Spec) -> Iterator[Problem]:
    """Yield what is wrong with `tune`."""
    if spec.tune is None:
        return
    if not spec.ranker.TUNABLE:
        yield ("tune",), f"a ranker of the type {spec.ranker.type} has no settings to try; expected no `tune`"
        return
    yield from _search_problems(spec.tune, spec.ranker)
    yield from _space_problems(spec.tune, spec.ranker)
    if spec.tune.retrieval is not None:
        yield from _retrieval_problems(spec, spec.tune.retrieval)


def _search_problems(tune: Tune, ranker: Ranker) -> Iterator[Problem]:
    if tune.points > MOST_POINTS:
        yield ("tune", "space"), f"found {tune.points:,} points, expected at most {MOST_POINTS:,}"
    if tune.budget is not None and tune.sampler == "grid":
        # Points of a grid are drawn all at once, simplest first: a part of them would be the simple ones.
        yield ("tune", "budget"), "found a budget with `sampler: grid`; expected `sampler: tpe` or `gp`"
    staged = isinstance(ranker, LightGBM) and ranker.boosting == "gbdt" and ranker.seeds == 1
    if tune.pruning != "none" and not staged:
        yield (
            ("tune", "pruning"),
            f"found {tune.pruning!r}, but only `type: lightgbm` with `boosting: gbdt` and one seed has stages to end "
            "at; expected 'none'",
        )


def _space_problems(tune: Tune, ranker: Ranker) -> Iterator[Problem]:
    for name, values in tune.space.items():
        if name not in ranker.TUNABLE:
            yield ("tune", "space", name), unknown_name(f"setting of {ranker.type}", name, ranker.TUNABLE)
            continue
        for index, value in enumerate(values):
            place = ("tune", "space", name, index)
            try:
                # Validated by the ranker's own model, so that its bounds are defined only once.
                tried = with_settings(ranker, {name: value})
            except ValidationError as error:
                expected = error.errors()[0]["msg"].removeprefix("Input should be ")
                yield place, f"found {value!r}, expected {expected}"
                continue
            # Those that the ranker has anyway are said of its own keys.
            for key, text in sorted({*tried.problems()} - {*ranker.problems()}):
                yield place, f"with {value!r}, {'.'.join(map(str, key))}: {text}"


def _retrieval_problems(spec: Spec, tune: TuneRetrieval) -> Iterator[Problem]:
    parts = {part.identity: part for part in spec.retrieval if tunable(part)}
    for name, space in tune.spaces.items():
        place: tuple[str | int, ...] = ("tune", "retrieval", "spaces", name)
        if name not in parts:
            yield place, unknown_name("retrieval with settings to try", name, parts)
            continue
        part, known = parts[name], tunable(parts[name])
        for setting, values in space.items():
            if setting not in known:
                yield (*place, setting), unknown_name(f"setting of {name}", setting, known)
                continue
            for index, value in enumerate(values):
                try:
                    type(part).model_validate({**part.model_dump(), setting: value})
                except ValidationError as error:
                    text = error.errors()[0]["msg"].removeprefix("Value error, ")
                    found = f"found {value!r}, expected {text.removeprefix('Input should be ')}"
                    yield (*place, setting, index), text if text.startswith("found") else found
