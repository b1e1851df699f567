"""How much of the catalog the lists show, and how unevenly: every contender on the same held-out groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.store.records import Record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TOP_ITEMS = 10
DIGITS = 12


class ContenderConcentration(Record):
    """What a contender's lists are made of.

    Attributes:
        of: the contender.
        places: places in all lists, up to the k-th of each.
        items: different items in them.
        coverage: share of the catalog that these are.
        gini: Gini coefficient of the places by item of the catalog: 0 if all have as many, near 1 if one has all.
        top_share: share of the places that the `TOP_ITEMS` most listed items have.
    """

    of: str
    places: int
    items: int
    coverage: float
    gini: float
    top_share: float


class Concentration(Record):
    """All contenders.

    Attributes:
        k: places of each list that count.
        groups: held-out lists.
        catalog: items that were available at a test cut, or were candidates.
        contenders: the model first, also before its lists are re-ranked, then the baselines, then the champion.
    """

    k: int
    groups: int
    catalog: int
    contenders: tuple[ContenderConcentration, ...]


def concentration_of(of: str, counts: npt.NDArray[np.int64], catalog: int) -> ContenderConcentration:
    """Measure one contender.

    Args:
        of: its name.
        counts: how often each listed item is in the lists; items of the catalog that are not listed may be left out.
        catalog: number of items in the catalog, listed or not.
    """
    import numpy as np

    counts = counts[counts > 0]
    places = int(counts.sum())
    top = np.sort(counts)[-TOP_ITEMS:].sum()
    return ContenderConcentration(
        of=of,
        places=places,
        items=len(counts),
        coverage=round(len(counts) / catalog, DIGITS) if catalog else 0.0,
        gini=round(gini(np.pad(counts, (catalog - len(counts), 0))), DIGITS),
        top_share=round(float(top / places), DIGITS) if places else 0.0,
    )


def gini(counts: npt.NDArray[np.int64]) -> float:
    """The Gini coefficient: half of the mean difference between two items' counts, relative to their mean.

    0 where all are equal, (n - 1) / n where one of n has everything; 0 of nothing.
    """
    import numpy as np

    total, size = int(counts.sum()), len(counts)
    if not total:
        return 0.0
    # Whole numbers up to the division, so that the value does not depend on the order of a sum.
    weighted = int((np.sort(counts) * (2 * np.arange(1, size + 1) - size - 1)).sum())
    return weighted / (size * total)
