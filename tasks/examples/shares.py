"""How a weight of 1 is shared out among the members of a blend, of retrievals or of rankers."""

from __future__ import annotations

from collections.abc import Iterator

PARTS = {2: 20, 3: 10, 4: 10, 5: 5}
"""Into how many parts the weight of 1 is divided to be shared out, by the number of members."""


def evenest_first(members: int) -> list[tuple[float, ...]]:
    """All ways to share out a weight of 1, the most even first, then those that give the first members more."""
    even = 1.0 / members
    return sorted(
        shared_out(members),
        key=lambda weights: (sum((weight - even) ** 2 for weight in weights), tuple(-weight for weight in weights)),
    )


def shared_out(members: int) -> Iterator[tuple[float, ...]]:
    """Yield all ways to share out a weight of 1 among members, in `PARTS`."""
    parts = PARTS[members]

    def rest(left: int, members: int) -> Iterator[tuple[int, ...]]:
        if members == 1:
            yield (left,)
            return
        for first in range(left + 1):
            yield from ((first, *others) for others in rest(left - first, members - 1))

    yield from (tuple(part / parts for part in shares) for shares in rest(parts, members))
