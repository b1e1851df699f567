"""Names of populations: everybody else, and how a population's folder is called."""

from __future__ import annotations

import re

from tasks.store.files import digest

EVERYBODY_ELSE = "*"


def slug(population: str) -> str:
    """Make a folder name of a population's; names that differ stay different, by a digest where need be."""
    if population == EVERYBODY_ELSE:
        return "everybody-else"
    # A population may be called like the folder of everybody else, which is not its own.
    if re.fullmatch("[A-Za-z0-9][A-Za-z0-9-]{0,39}", population) and population != "everybody-else":
        return population
    plain = re.sub("[^A-Za-z0-9]+", "-", population).strip("-")[:40] or "population"
    # The underscore, which no plain name has, keeps these apart from the names above.
    return f"{plain}_{digest(population)[:8]}"
