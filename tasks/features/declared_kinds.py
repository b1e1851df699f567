"""Kinds of interactions that a pipeline file declares: does staging give any?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import TYPE_CHECKING

from tasks.store.sql import literal, literals

if TYPE_CHECKING:
    from tasks.features.warehouse import Tables
    from tasks.spec.spec import Spec


def absent_kinds(tables: Tables, declared: Collection[str], relation: str, until: date | None = None) -> list[str]:
    """List the declared kinds that no interaction has, in order.

    Args:
        tables: of the warehouse.
        declared: names of kinds.
        relation: the accepted interactions, as a query names them.
        until: only those that landed by the end of this day.
    """
    if not declared:
        return []
    landed = "" if until is None else f" and ds <= {literal(until)}"
    query = f"select distinct kind from {relation} where kind in ({literals(sorted(declared))}){landed}"
    return sorted(set(declared) - {kind for (kind,) in tables.rows(query)})


def absence(spec: Spec, kinds: Sequence[str], when: str) -> str:
    """Say which declared kinds there is no interaction of, and what to do."""
    return (
        f"`interactions.kinds` declares {', '.join(kinds)}, but staging gives no interaction of "
        f"{'this kind' if len(kinds) == 1 else 'these kinds'} {when}: correct the name, or the SQL in "
        f"transforms/models/staging/{spec.staging}"
    )
