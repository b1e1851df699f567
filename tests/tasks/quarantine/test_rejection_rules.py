"""Every rule of staging has a sentence that says why it rejects a row."""

from __future__ import annotations

import re

import pytest

from tasks.quarantine.rejection_rules import GENERAL_RULES, NO_SENTENCE, explain_rule, rules_of
from tasks.spec.project import TRANSFORMS

SOURCES = sorted(folder.name for folder in (TRANSFORMS / "models" / "staging").iterdir())


@pytest.mark.parametrize("source", SOURCES)
def test_the_rules_of_the_sql_and_the_sentences_are_the_same(source: str) -> None:
    folder = TRANSFORMS / "models" / "staging" / source
    sql = "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql")))
    named = set(re.findall(r"then '(\w+)'", sql)) - {
        "purchase",
        "cancellation",
        "bulk",
        "night",
        "morning",
        "afternoon",
        "evening",
    }
    assert "call ruled(" in sql
    named |= {"exact_duplicate"} | ({"repeated_id"} if re.search(r"ruled\([^)]*\bid=", sql) else set())  # of the macro
    assert set(rules_of(source)) == named | set(GENERAL_RULES)
    assert all(sentence.endswith(".") and sentence[0].isupper() for sentence in rules_of(source).values())


def test_a_rule_without_a_sentence_is_said_to_have_none() -> None:
    assert explain_rule("online_retail", "odd") == NO_SENTENCE
