"""Matrix factorization of implicit feedback by alternating least squares, with the same bits on every processor.

The model is that of Hu, Koren & Volinsky (2008): confidence c where a user acted on an item, 1 where not, target 1 and
0. The solver is that of Takács, Pilászy & Tikk (2011), a few steps of conjugate gradient from the factors of the sweep
before. Start, weights and number of steps are those of the library `implicit` 0.7; sums are those of `engine.exact`.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.arrays import Codes, Floats, Offsets, Singles, kernel
from engine.exact import add_rows, dot, gram

_STEPS = 3  # of conjugate gradient a sweep: `implicit`'s `cg_steps`
_SOLVED = 1e-20
"""Squared residual from which on a row is left as it is."""
_SHARES = 4
"""Parts of its rows that a thread takes one by one, as rows differ in length."""


class Penalty(NamedTuple):
    """The regularization of a row: `base` + `per_entry` × the number of its entries."""

    base: float
    per_entry: float = 0.0


class Side(NamedTuple):
    """The rows of one side, users or items: row `r` has the entries `offsets[r]:offsets[r+1]`."""

    offsets: Offsets
    members: Codes
    """Which row of the other side each entry is of."""
    confidence: Floats
    """Of each entry, ≥ 0."""
    penalty: Penalty


class System(NamedTuple):
    """The equations of one row: (YᵀY + λI + Yᵤᵀ(C − I)Yᵤ) x = Yᵤᵀc."""

    shared: Floats
    """YᵀY (factors, factors)."""
    own: Floats
    """Yᵤ (entries, factors)."""
    turned: Floats
    """Yᵤᵀ: products with it run over neighboring entries, which the compiler may take several of at once."""
    extra: Floats
    """c − 1 (entries,)."""
    penalty: float
    """λ."""


@dataclass(frozen=True)
class Settings:
    """How a model is fitted; the number of threads changes no bit of it."""

    factors: int
    iterations: int = 15
    seed: int = 0
    threads: int = 1


def scaled_by_count(
    regularization: float, alpha: float, shape: tuple[int, int], entries: int
) -> tuple[Penalty, Penalty]:
    """The penalties of users and of items that grow with what is known of each.

    Rendle, Krichene, Zhang & Koren (2022), "Revisiting the performance of iALS on item recommendation benchmarks":
    λ of a user ∝ entries + items / alpha, the weight of all terms of the loss that the user has a part in, and of an
    item alike (their ν = 1, α₀ = 1 / alpha).

    Args:
        regularization: the mean over all users and items, so that it has the size of the plain one's.
        alpha: the confidence of an action.
        shape: users and items.
        entries: pairs with an action.
    """
    users, items = shape
    scale = regularization * (users + items) / (2.0 * (entries + users * items / alpha))
    return Penalty(scale * items / alpha, scale), Penalty(scale * users / alpha, scale)


@kernel
def _multiply(out: Floats, system: System, x: Floats) -> None:
    """Put the left side of the equations for `x` in `out`, without ever making their matrix."""
    for k in range(len(x)):
        out[k] = system.penalty * x[k]
    add_rows(out, x, system.shared, 0)
    products = np.zeros(len(system.own))
    add_rows(products, x, system.turned, 0)
    for n in range(len(products)):
        products[n] *= system.extra[n]
    add_rows(out, products, system.own, 0)


@kernel
def _improve(x: Floats, system: System, confidence: Floats) -> None:
    """Move `x` toward the solution by a few steps of conjugate gradient (Hestenes & Stiefel, 1952)."""
    image, residual = np.empty(len(x)), np.zeros(len(x))
    _multiply(image, system, x)
    add_rows(residual, confidence, system.own, 0)
    for k in range(len(x)):
        residual[k] -= image[k]
    direction = residual.copy()
    before = dot(residual, residual)
    for _ in range(_STEPS):
        if before < _SOLVED:
            return
        _multiply(image, system, direction)
        length = before / dot(direction, image)
        for k in range(len(x)):
            x[k] += length * direction[k]
            residual[k] -= length * image[k]
        now = dot(residual, residual)
        for k in range(len(x)):
            direction[k] = residual[k] + now / before * direction[k]
        before = now


@kernel
def _gather(fixed: Floats, members: Codes, own: Floats, turned: Floats) -> None:
    for n in range(len(members)):
        row = fixed[members[n]]
        for k in range(len(row)):
            own[n, k] = row[k]
    for n in range(len(members)):
        for k in range(fixed.shape[1]):
            turned[k, n] = own[n, k]


@kernel
def _solve(first: int, last: int, side: Side, fixed: Floats, shared: Floats, factors: Floats) -> None:
    """Improve the rows `first` to `last - 1` of `factors`; those without entries become 0.

    Args:
        first: row to begin with.
        last: row to end before.
        side: the entries of all rows.
        fixed: factors of the other side.
        shared: their `gram`.
        factors: factors of this side, changed in place.
    """
    longest = 0
    for row in range(first, last):
        longest = max(longest, side.offsets[row + 1] - side.offsets[row])
    space = np.empty((2, longest * fixed.shape[1]))
    for row in range(first, last):
        entries = slice(side.offsets[row], side.offsets[row + 1])
        members, confidence = side.members[entries], side.confidence[entries]
        if len(members) == 0:
            # Their solution; a few steps from the random start would stop short of it.
            factors[row] = 0.0
            continue
        size = len(members) * fixed.shape[1]
        # Reshaped from the beginning, not cut out of a wider table: `add_rows` wants its rows contiguous.
        own = space[0, :size].reshape((len(members), fixed.shape[1]))
        turned = space[1, :size].reshape((fixed.shape[1], len(members)))
        _gather(fixed, members, own, turned)
        penalty = side.penalty.base + side.penalty.per_entry * len(members)
        _improve(factors[row], System(shared, own, turned, confidence - 1.0, penalty), confidence)


def fit(confidence: Any, penalties: tuple[Penalty, Penalty], settings: Settings) -> tuple[Singles, Singles]:
    """Factorize: user factors (users, factors) and item factors (items, factors).

    Args:
        confidence: a scipy CSR matrix (users, items): the confidence ≥ 0 of each pair with an action.
        penalties: of users and of items: `Penalty(λ)` is plain, `scaled_by_count` the other form.
        settings: the rest.
    """
    shape = (*confidence.shape, settings.factors)
    random = np.random.default_rng(settings.seed)
    users, items = (_start(random, rows, settings.factors) for rows in shape[:2])
    by_user, by_item = _side(confidence, penalties[0]), _side(confidence.T.tocsr(), penalties[1])
    # Python's threads, for which `kernel` lets go of the GIL: numba's own survive neither forks nor concurrent callers.
    with ThreadPoolExecutor(settings.threads) as pool:
        for _ in range(settings.iterations):
            _sweep(pool, settings.threads, by_user, items, users)
            _sweep(pool, settings.threads, by_item, users, items)
    # The only rounding to 32 bits: sums and sweeps are 64 bits wide.
    return users.astype(np.float32), items.astype(np.float32)


def _start(random: np.random.Generator, rows: int, factors: int) -> Floats:
    # Drawn in 32 bits, as `implicit` does, so that both start from the same numbers.
    small: npt.NDArray[np.float32] = random.random((rows, factors), dtype=np.float32) * np.float32(0.01)
    return small.astype(np.float64)


def _side(matrix: Any, penalty: Penalty) -> Side:
    return Side(
        # Scipy chooses 32 or 64 bits by size, and a kernel compiles again for every type.
        matrix.indptr.astype(np.int64),
        matrix.indices.astype(np.int32),
        matrix.data.astype(np.float64),
        penalty,
    )


def _sweep(pool: ThreadPoolExecutor, threads: int, side: Side, fixed: Floats, factors: Floats) -> None:
    shared = gram(fixed)
    # A row depends on no other of its side, so however rows are shared out, no bit changes.
    bounds = np.linspace(0, len(factors), threads * _SHARES + 1 if threads > 1 else 2).astype(np.int64)
    parts = [
        pool.submit(_solve, first, last, side, fixed, shared, factors) for first, last in itertools.pairwise(bounds)
    ]
    for part in parts:
        part.result()  # raises what went wrong in the thread
