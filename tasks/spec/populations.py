"""Names of populations: everybody else, and how a population's folder is called."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tasks.store.files import digest

if TYPE_CHECKING:
    pass


EVERYBODY_ELSE = "*"


def slug(population: str) -> str:
    """Return a population's name as a folder name; names that differ stay different."""
    if population == EVERYBODY_ELSE:
        return "everybody-else"
    if re.fullmatch("[A-Za-z0-9][A-Za-z0-9-]{0,39}", population) and population != "everybody-else":
        return population
    plain = re.sub("[^A-Za-z0-9]+", "-", population).strip("-")[:40] or "population"
    return f"{plain}_{digest(population)[:8]}"
