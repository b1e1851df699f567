"""Going on where an earlier call of `matinee run` stopped: the steps that take long keep what is whole.

`resume/<step>.json` in an attempt's folder says from what a step made what it left. A later call in the same attempt
keeps the step's folder if it would be made from the same now, and if every byte of it is what was written. All other
steps run again: those before find out in seconds whether the landing or the tables have changed, and those behind
compare with the champion, which may be another one by now.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import MatineeError
from tasks.examples.candidates import RetrieveResult
from tasks.examples.sample import SampleResult
from tasks.features.build import libraries
from tasks.runs.narration import say
from tasks.runs.steps import BY_NAME
from tasks.spec.populations import slug
from tasks.store.damage import damage_of
from tasks.store.files import DIGESTS, digest, sha256_file
from tasks.store.records import SealedRecord, Sha256
from tasks.training.train import TrainResult

if TYPE_CHECKING:
    from tasks.runs.run import Run

Function = Callable[["Run"], Any]


class Finished(SealedRecord):
    """What a step has finished.

    Attributes:
        inputs: digest of all that it was made from.
        outputs: digest of the digests of its files.
    """

    inputs: Sha256
    outputs: Sha256


def resuming(run: Run, name: str, function: Function, *, again: bool) -> Function:
    """Let a step keep what an earlier call made from the same; steps that do not take long are left as they are.

    Args:
        run: the run.
        name: of the step.
        function: the step's own.
        again: whether nothing is kept; what is made is written down for a later call all the same.
    """
    if name == "sample":
        return lambda run: _kept_or_made(run, "sample", _inputs_of_sample(run), function, again=again)
    if name == "train":
        # The step, not its list: it says which populations have too few groups for a model of their own.
        populations = BY_NAME["populations"].load()
        return lambda run: {entry: _trained(run, entry, again=again) for entry in populations(run)}
    return function


def _trained(run: Run, population: str, *, again: bool) -> Any:
    inputs = digest([_made_by(run), population, sha256_file(run.step_dir("sample") / DIGESTS)])
    train = BY_NAME["train"].load()
    return _kept_or_made(run, f"train/{slug(population)}", inputs, lambda run: train(run, population), again=again)


def _inputs_of_sample(run: Run) -> str:
    """Digest what a sample is drawn from: the landing, the candidates' folders, and what it is made by."""
    retrieved = run.read("retrieve", RetrieveResult)
    # Not how many folders had to be made: an earlier call has made those that this one finds.
    return digest([_made_by(run), retrieved.data, retrieved.to_json()["folders"], retrieved.kernels])


def _made_by(run: Run) -> list[Any]:
    # Libraries are no part of `made_by`, which compares steps of one process with each other.
    return [run.made_by.to_json(), libraries()]


def _kept_or_made(run: Run, name: str, inputs: str, function: Function, *, again: bool) -> Any:
    folder, path = run.step_dir(name), run.dir / "resume" / f"{name.replace('/', '-')}.json"
    if not again and _is_whole(folder, path, inputs):
        say("{name} is kept: an earlier call made it from the same", name=name)
        return (SampleResult if name == "sample" else TrainResult).read(folder / "result.json")
    # First: killed while it works, the step must not leave an older call's word for a folder of this one.
    path.unlink(missing_ok=True)
    result = function(run)
    Finished(inputs=inputs, outputs=sha256_file(folder / DIGESTS)).write(path)
    return result


def _is_whole(folder: Path, path: Path, inputs: str) -> bool:
    """Whether a folder is what an earlier call made from the same inputs, byte for byte."""
    if not path.is_file() or not (folder / DIGESTS).is_file():
        return False
    try:
        finished = Finished.read(path)
    except MatineeError:  # a damaged word is no word: the step runs again
        return False
    return finished == Finished(inputs=inputs, outputs=sha256_file(folder / DIGESTS)) and damage_of(folder) is None
