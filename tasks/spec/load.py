"""Loading a pipeline file in two phases, before any data is touched: its shape, then its references."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from tasks.errors import SpecError
from tasks.spec.explain import explain
from tasks.spec.spec import Spec
from tasks.spec.yaml_lines import Document, read_document, refuse_invisible


def load_shape(path: Path) -> Spec:
    """First phase: read a pipeline file and check its shape.

    Raises:
        SpecError: naming file, line, key, what was found and what was expected.
    """
    document = read_document(path)
    return shape(document)


def shape(document: Document) -> Spec:
    """Check the shape of a document that has been read."""
    refuse_invisible(document)
    try:
        spec = Spec.model_validate(document.value)
    except ValidationError as error:
        raise SpecError(explain(document, Spec, error.errors())) from None
    if document.path.stem != spec.name:
        raise SpecError(
            f"{document.at(('name',))}: name: found {spec.name!r}, expected {document.path.stem!r}, "
            "the name of the file"
        )
    return spec


def load_spec(path: Path) -> Spec:
    """Both phases: read a pipeline file, check its shape and that every name in it refers to something."""
    # Here, because it brings an SQL parser, and DAG files, which only need the shape, are parsed again and again.
    from tasks.spec.references import check_references

    document = read_document(path)
    spec = shape(document)
    check_references(spec, document)
    return spec
