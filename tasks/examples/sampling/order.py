"""The order in which groups are drawn: another one for each seed and purpose, from one hash of each group.

A group's hash is 62 bits of an md5, made once, with the relation `groups`. Its two halves give its place in an order by
strongly universal hashing, a·high + b·low + c modulo a prime (Wegman and Carter 1981), which costs next to nothing.
Over seeds any two groups are placed independently, all that the variance of a sum asks for; over groups, whose hashes
are as good as random, all places of one draw are independent, and those of any two draws are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PRIME = 2**31 - 1
"""Places are below it. Halves of a hash are not above it, so that no sum of products exceeds 64 bits."""
Purpose = Literal["sample", "pilot", "curve"]
"""What is drawn for; groups are in another order for each."""


def group_hash_sql(relation: str) -> str:
    """The hash of a group of a relation with `group_id` and `cut`, as SQL: the first 62 bits of an md5."""
    return f"cast(cast('0x' || left(md5({relation}.group_id || {relation}.cut), 16) as ubigint) >> 2 as bigint)"


def group_hashes(groups: Iterable[tuple[str, date]]) -> npt.NDArray[np.int64]:
    """The same hashes of groups by their id and cut."""
    import numpy as np

    digests = (hashlib.md5(f"{group_id}{cut}".encode(), usedforsecurity=False) for group_id, cut in groups)
    return np.fromiter((int.from_bytes(digest.digest()[:8]) >> 2 for digest in digests), dtype=np.int64)


@dataclass(frozen=True)
class Order:
    """The places of groups: multiples of a hash's halves and a shift, each from 1 to `PRIME` − 1."""

    high: int
    low: int
    shift: int

    @classmethod
    def of(cls, seed: int, purpose: Purpose) -> Order:
        """The order of a seed and a purpose."""
        digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
        high, low, shift = (1 + int.from_bytes(digest[n : n + 8]) % (PRIME - 1) for n in (0, 8, 16))
        return cls(high, low, shift)

    def sql(self, group_hash: str) -> str:
        """A group's place as SQL, given the name of the column that has its hash."""
        return f"({self.high} * ({group_hash} >> 31) + {self.low} * ({group_hash} & {PRIME}) + {self.shift}) % {PRIME}"

    def places(self, hashes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The same places of hashes in memory."""
        return (self.high * (hashes >> 31) + self.low * (hashes & PRIME) + self.shift) % PRIME
