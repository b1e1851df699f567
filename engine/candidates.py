"""Candidates of many users: the union of several retrievers' lists, with every retriever's score of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.arrays import Bools, Codes, Offsets, Singles, Strings, group_of_row, offsets_of
from engine.retrieval import Retriever
from engine.seen import SeenRule


@dataclass(frozen=True, eq=False)
class Candidates:
    """Catalogue items of many users: user `u` owns `items[offsets[u]:offsets[u+1]]`, each item once."""

    offsets: Offsets
    items: Codes

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The user (position in the request) of each candidate."""
        return group_of_row(self.offsets)

    def only(self, keep: Bools) -> Candidates:
        """Return those that are marked, in their order."""
        lengths = np.bincount(self.rows[keep], minlength=len(self.offsets) - 1)
        return Candidates(offsets_of(lengths), self.items[keep])


def union(retrievers: Sequence[tuple[Retriever, int]], users: Strings, seen: SeenRule | None = None) -> Candidates:
    """Return the items of all `(retriever, k)`, first retriever first, each item once per user.

    With a rule for what a user has seen, the k items of a retriever are the best of those that it allows.
    """
    if seen is None:
        lists = [retriever.retrieve(users, k) for retriever, k in retrievers]
    else:
        lists = [seen.retrieve(retriever, users, k) for retriever, k in retrievers]
    owners = np.concatenate([group_of_row(part.offsets) for part in lists] or [np.empty(0, np.int64)])
    items = np.concatenate([part.items for part in lists] or [np.empty(0, np.int32)])
    # Stable, so that a user's items stay in the order of the retrievers.
    by_user = np.argsort(owners, kind="stable")
    owners, items = owners[by_user], items[by_user]
    keys = owners * (np.int64(items.max(initial=0)) + 1) + items
    # `unique` lists first occurrences in the order of the keys; sorted, they are in that of the lists again.
    first = np.sort(np.unique(keys, return_index=True)[1])
    return Candidates(offsets_of(np.bincount(owners[first], minlength=len(users))), items[first])


def allowed(seen: SeenRule, users: Strings, candidates: Candidates) -> Candidates:
    """Return the candidates that a rule for what a user has seen allows, in their order."""
    return candidates.only(seen.keep(users, candidates.rows, candidates.items))


def scores_of(
    names: Sequence[str], retrievers: Sequence[tuple[Retriever, int]], users: Strings, candidates: Candidates
) -> dict[str, Singles]:
    """Return `<name>_score` of each candidate for each retriever; NaN where it has none."""
    rows = candidates.rows
    return {
        f"{name}_score": retriever.score(users, rows, candidates.items)
        for name, (retriever, _) in zip(names, retrievers, strict=True)
    }


def ranks_of(candidates: Candidates, scores: Singles) -> Singles:
    """Return each candidate's rank, from 0, among its user's candidates: best score first, NaN last.

    Equal scores are put in the order of item numbers, so the ranks don't depend on the order of the candidates.
    """
    rows = candidates.rows
    order = np.lexsort((candidates.items, -np.nan_to_num(scores, nan=-np.inf), rows))
    # Features are 32 bits wide, which hold every rank up to 2^24.
    ranks = np.empty(len(scores), dtype=np.float32)
    ranks[order] = np.arange(len(scores)) - candidates.offsets[:-1][rows]
    return ranks
