"""A learner in words, `lightgbm:objective=binary,rounds=40`: a type of ranker, and what differs from its settings."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import ValidationError

from tasks.errors import WrongArgument, quoted
from tasks.spec.rankers import Ranker
from tasks.spec.yaml_lines import nearest
from tasks.training.rankers import RANKERS


def learner_of(text: str, own: Ranker) -> Ranker:
    """Read a learner; one of the pipeline's own type keeps its settings where it names no other.

    Args:
        text: `<type>`, or `<type>:<setting>=<value>,…`; values as in the pipeline file.
        own: the pipeline's ranker.

    Raises:
        WrongArgument: there is no such type or setting, or a value is none of its kind.
    """
    kind, _, written = text.partition(":")
    if kind not in RANKERS:
        known = sorted(RANKERS)
        raise WrongArgument(f"learner {quoted(text)}: unknown type, expected {', '.join(known)}{nearest(kind, known)}")
    settings: dict[str, Any] = own.model_dump() if kind == own.type else {"type": kind}
    for pair in written.split(",") if written else []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise WrongArgument(f"learner {quoted(text)}: found {quoted(pair)}, expected <setting>=<value>")
        settings[name] = _value(text, value)
    try:
        learner: Ranker = RANKERS[kind].settings.model_validate(settings)  # type: ignore[assignment]
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise WrongArgument(f"learner {quoted(text)}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
    return learner


def _value(text: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise WrongArgument(f"learner {quoted(text)}: found the value {quoted(value)}, expected one of YAML") from None
