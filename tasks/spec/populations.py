"""Names of populations: everybody else, and how a population's folder is called."""

from __future__ import annotations

import re

from tasks.store.files import digest

EVERYBODY_ELSE = "*"


def slug(population: str) -> str:
    """Make a folder name of a population's; names that differ stay different, by a digest where need be."""
    if population == EVERYBODY_ELSE:
        return "everybody-else"
    # A population may have the very name of that folder; it must not share it.
    if re.fullmatch("[A-Za-z0-9][A-Za-z0-9-]{0,39}", population) and population != "everybody-else":
        return population
    plain = re.sub("[^A-Za-z0-9]+", "-", population).strip("-")[:40] or "population"
    # Plain names have no underscore, so these never collide with the names above.
    return f"{plain}_{digest(population)[:8]}"
