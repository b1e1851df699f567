"""Why a rule of staging rejects a row: one sentence each, kept beside the SQL that decides."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tasks.quarantine.rejected_rows import UNPARSEABLE
from tasks.spec.project import transforms
from tasks.spec.spec import Spec
from tasks.spec.yaml_lines import read_document

GENERAL_RULES = {
    UNPARSEABLE: "The line does not fit the file's declaration; its error message says where.",
    "sent_again": "A row with the same key came on an earlier day, and counts there (`unique_within`).",
    "id_too_long": "An id of a user, an item or a request has more than 512 characters; none of them can be served.",
    "value_too_large": "A number is beyond 1e15, so that sums of such numbers would leave what features can hold.",
    "exact_duplicate": "The same row stands in the day already, value for value; the first one is kept.",
    "repeated_id": "Another row of the day has the same id and says something else; the first one is kept.",
    "missing_id": "An id is missing, so that nobody can say who did what to which item.",
    "missing_time": "A time is missing, so that the row belongs to no day.",
    "occurred_after_known": "It happened after the day it arrived on: one of the clocks is wrong.",
}
"""Rules that a source's yml need not explain: of the reader, of the macro that all staging models use, and those that
nearly every source has. What a yml says goes before them."""
NO_SENTENCE = "Staging gives no reason beyond the rule's name."


def rules_of(staging: str) -> dict[str, str]:
    """Map each rule to its sentence: `config.meta.rules` of `stg_rejected_rows` in the source's staging yml."""
    return _rules_in(transforms().whole(f"models/staging/{staging}"))


@cache
def _rules_in(folder: Path) -> dict[str, str]:
    rules = dict(GENERAL_RULES)
    for path in sorted(folder.glob("*.yml")):
        for model in read_document(path).value.get("models", []):
            if model.get("name") == "stg_rejected_rows":
                rules |= model.get("config", {}).get("meta", {}).get("rules", {})
    return rules


def explain_rule(staging: str, rule: str) -> str:
    """Say why a rule rejects a row, in a sentence."""
    return rules_of(staging).get(rule, NO_SENTENCE)


def why_no_line(spec: Spec, table: str) -> str:
    """Say why the rejected rows of a table do not know their line, and what to write to have it."""
    if spec.source.type != "files":
        return f"no line: the source is {spec.source.type} and has no files"
    return (
        f"no line: the SQL keeps none of {table}; to have it, declare line_number (bigint) of {table} under "
        f"`sources:` in transforms/models/staging/{spec.staging}, and add it to the columns of rejected_row(…)"
    )
