"""The models of a run on disk: a folder with the files of each, and `function.json`, the node that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import DamagedFile
from tasks.spec.populations import slug
from tasks.store.files import WRITTEN_AGAIN, read_json, write_json

if TYPE_CHECKING:
    from engine.functions.load import Function
    from engine.functions.schema import FunctionNode
    from tasks.runs.run import Run
    from tasks.training.learners.protocol import TrainedRanker

JUDGED, PUBLISHED = "judged", "published"
"""The model that is evaluated, and the one that is published."""
FUNCTION_FILE = "function.json"


def save_model(model: TrainedRanker, folder: Path) -> None:
    """Write a trained ranker into a folder of its own."""
    folder.mkdir()
    write_json(folder / FUNCTION_FILE, model.save(folder).model_dump(mode="json"))


def function_node(run: Run, population: str, which: str) -> FunctionNode:
    """Read the node of a population's model; the names of its files are relative to the model's folder.

    Raises:
        DamagedFile: it is not what the step `train` wrote.
    """
    from pydantic import TypeAdapter, ValidationError

    from engine.functions.schema import FunctionNode

    path = run.file(f"train/{slug(population)}", f"{which}/{FUNCTION_FILE}")
    adapter: TypeAdapter[FunctionNode] = TypeAdapter(FunctionNode)
    try:
        return adapter.validate_python(read_json(path, WRITTEN_AGAIN))
    except ValidationError as error:
        raise DamagedFile(f"{path}: not a function ({error.error_count()} problems); {WRITTEN_AGAIN}") from None


def model_files(run: Run, population: str, which: str) -> dict[str, Path]:
    """Locate the files of a population's model by their names in its node, each as the step `train` wrote it.

    Raises:
        DamagedFile: one is not.
    """
    from engine.functions.schema import files_of

    names = files_of(function_node(run, population, which))
    return {name: run.file(f"train/{slug(population)}", f"{which}/{name}") for name in names}


def load_model(run: Run, population: str, which: str) -> Function:
    """Load a population's model as the engine executes it.

    Raises:
        DamagedFile: a file is not what the step `train` wrote.
    """
    from engine.functions.load import load_function

    model_files(run, population, which)  # which compares them with their digests
    folder = run.step_dir(f"train/{slug(population)}") / which
    return load_function(function_node(run, population, which), folder, run.spec.features)
