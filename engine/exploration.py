"""Exploration: lists in an order that is drawn, with the exact probability of each place.

An order is drawn without replacement, place by place (Plackett-Luce): with weights w over the items,

    propensity(item at a place | items above it) = w[item] / sum of w over the items not above it,

so that the product over a list is the probability of its first places. The weights are those of a softmax of the
scores, or of ranks: dithering. The draw is no generator's, but a hash of the request and of each item: the same
request gives the same list, whoever else is answered, however often, and on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.arrays import Floats, Offsets, kernel
from engine.exact import exponential, log

Hashes = npt.NDArray[np.uint64]
SOFTMAX, DITHERING = 0, 1
_GUMBEL_DEVIATION = float(np.pi / np.sqrt(6.0))


def hashes_of(texts: Sequence[str]) -> Hashes:
    """Hash texts, such as item ids, to 64 bits each."""
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.array([int.from_bytes(digest, "little") for digest in digests], dtype=np.uint64)


def request_key(seed: int, day: str, user_id: str, request_id: str) -> int:
    """Hash what tells a request from others; without a request id, a user has one list a day."""
    # Lengths keep ("a", "bc") and ("ab", "c") apart.
    text = f"{seed}:{day}:{len(user_id)}:{user_id}:{request_id}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


@kernel
def _uniform(bits: np.uint64) -> float:
    """A number in (0, 1) from mixed bits (the finalizer of SplitMix64: Steele, Lea & Flood, 2014)."""
    z = bits + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (float(z >> np.uint64(12)) + 0.5) / 4503599627370496.0  # 2^52: the largest is still below 1


@kernel
def _log_weights(scores: Floats, kind: int, strength: float) -> Floats:
    """Logarithms of the weights of a list's items, the greatest 0; the items come in the order of the list."""
    size = len(scores)
    result = np.zeros(size)
    if kind == DITHERING:
        for n in range(size):
            result[n] = -log(n + 1.0) / strength
        return result
    total = squares = 0.0
    for score in scores:
        total += score
    for score in scores:
        squares += (score - total / size) ** 2
    spread = np.sqrt(squares / size)
    if 0.0 < spread < np.inf:  # else nothing tells one item from another
        for n in range(size):
            result[n] = (scores[n] - scores[0]) / (strength * spread)
    return result


@kernel
def _draw(
    scores: Floats, offsets: Offsets, items: Hashes, keys: Hashes, how: tuple[int, float]
) -> tuple[Offsets, Floats]:
    kind, strength = how
    order, propensities = np.arange(len(scores)), np.ones(len(scores))
    for group in range(len(offsets) - 1):
        low, high = offsets[group], offsets[group + 1]
        weights = _log_weights(scores[low:high], kind, strength)
        drawn = np.empty(high - low)
        for n in range(high - low):
            # The order of weights with Gumbel noise is a draw of Plackett-Luce (Yellott 1977).
            drawn[n] = weights[n] - log(-log(_uniform(keys[group] ^ items[low + n])))
        places = np.argsort(-drawn, kind="mergesort")
        left, greatest = 0.0, -np.inf  # what is left weighs left × exp(greatest): no weight is too small
        for place in range(high - low - 1, -1, -1):  # from the end, so that nothing is subtracted
            weight = weights[places[place]]
            if weight > greatest:
                left *= exponential(greatest - weight)
                greatest = weight
            left += exponential(weight - greatest)
            order[low + place] = low + places[place]
            propensities[low + place] = exponential(weight - greatest) / left
    return order, propensities


@dataclass(frozen=True)
class Exploration:
    """How lists are drawn.

    Attributes:
        kind: `SOFTMAX` of the scores, or `DITHERING` of ranks.
        strength: of a softmax its temperature, in standard deviations of the list's scores; of dithering the scale of
            the Gumbel noise on the logarithm of the rank.
        seed: of the draws.
    """

    kind: int
    strength: float
    seed: int

    @classmethod
    def softmax(cls, temperature: float, seed: int) -> Exploration:
        """Draw by a softmax."""
        return cls(SOFTMAX, temperature, seed)

    @classmethod
    def dithering(cls, epsilon: float, seed: int) -> Exploration:
        """Draw by ranks: noise with the standard deviation ln(epsilon) on the logarithm of each (Dunning)."""
        return cls(DITHERING, float(log(epsilon)) / _GUMBEL_DEVIATION, seed)

    def order(self, scores: Floats, offsets: Offsets, items: Hashes, keys: Hashes) -> tuple[Offsets, Floats]:
        """Draw the order of lists.

        Args:
            scores: of the rows; the rows of a list stand together, best first.
            offsets: list `g` owns the rows `offsets[g]:offsets[g + 1]`.
            items: hash of each row's item.
            keys: key of each list's request.

        Returns:
            Positions of rows in the new order, and the propensity of each place, given those above it.
        """
        result: tuple[Offsets, Floats] = _draw(scores, offsets, items, keys, (self.kind, self.strength))
        return result
