"""Why a rule of staging refuses a row: one sentence each, kept beside the SQL that decides."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from tasks.quarantine.rejected_rows import UNPARSEABLE
from tasks.spec.project import TRANSFORMS

SAYS_NOTHING = "Staging says no more than the rule's name."


@cache
def rules_of(staging: str, folder: Path = TRANSFORMS) -> dict[str, str]:
    """Return the sentence of each rule: `config.meta.rules` of `stg_rejected_rows` in the source's staging yml."""
    rules: dict[str, str] = {UNPARSEABLE: "The line cannot be read as the file's declaration says; each says why."}
    for path in sorted((folder / "models" / "staging" / staging).glob("*.yml")):
        for model in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("models", []):
            if model["name"] == "stg_rejected_rows":
                rules |= model.get("config", {}).get("meta", {}).get("rules", {})
    return rules


def why(staging: str, rule: str) -> str:
    """Return why a rule refuses a row."""
    return rules_of(staging).get(rule, SAYS_NOTHING)
