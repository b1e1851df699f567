"""Linear algebra whose every sum has one order: the same bits on every processor, for any number of threads.

BLAS chooses a kernel by processor, and each kernel adds in another order. Here sums are loops over rows: the compiler
may take several *columns* at once, which changes no sum, and may not fuse a product with an addition, since `kernel`
allows no fast-math. All numbers are 64 bits wide.
"""

from __future__ import annotations

import math

import numpy as np

from engine.arrays import Floats, kernel

_BAND = 16  # rows that stay in the fastest cache; columns the compiler takes at once without a rest
_PIVOTS = 48  # rows an inversion eliminates at once: more of them read and write the matrix less often
_TILE = 80  # columns of so many rows that stay in the fastest cache
_LN_2 = math.log(2.0)
_ROOT_HALF = math.sqrt(0.5)


@kernel
def log(value: float) -> float:
    """The natural logarithm of a number > 0: those of C libraries and of numpy depend on the processor."""
    mantissa, exponent = math.frexp(value)
    if mantissa < _ROOT_HALF:
        mantissa, exponent = 2.0 * mantissa, exponent - 1
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    series = 0.0
    for odd in range(25, 0, -2):  # of 2 artanh(ratio); ratio² < 0.03, so the next term is below the last bit
        series = series * (ratio * ratio) + 1.0 / odd
    return 2.0 * ratio * series + exponent * _LN_2


@kernel
def exponential(power: float) -> float:
    """e to a power, within two units in the last place: that of the machine's libraries differs between processors."""
    if not power < 709.0:  # NaN too
        return power if power != power else np.inf
    if power < -740.0:
        return 0.0
    # e^power = 2^twos · e^rest with |rest| ≤ ln 2 / 2; ln 2 in two parts, of which the first has 11 bits to spare.
    twos = np.floor(power * 1.4426950408889634 + 0.5)
    rest = (power - twos * 0.6931471803691238) - twos * 1.9082149292705877e-10
    total = 1.0
    for n in range(13, 0, -1):  # the next term of the series is less than a thousandth of the last place
        total = 1.0 + total * (rest / n)
    return math.ldexp(total, int(twos))


@kernel
def digamma(value: float) -> float:
    """The derivative of the logarithm of the gamma function, of a number > 0."""
    result = 0.0
    while value < 10.0:  # where the series below is exact to the last place
        result -= 1.0 / value
        value += 1.0
    # Abramowitz & Stegun (1964), 6.3.18: the Bernoulli numbers over 2n.
    inverse = 1.0 / (value * value)
    series = 1.0 / 240.0 - inverse * (1.0 / 132.0 - inverse * (691.0 / 32760.0))
    series = inverse * (1.0 / 12.0 - inverse * (1.0 / 120.0 - inverse * (1.0 / 252.0 - inverse * series)))
    return result + log(value) - 0.5 / value - series


@kernel
def powers(values: Floats, exponent: float) -> Floats:
    """Each number ≥ 0 to the power of `exponent`; 0 stays 0."""
    raised = np.zeros(len(values))
    for n in range(len(values)):
        if values[n] > 0.0:
            raised[n] = exponential(exponent * log(values[n]))
    return raised


@kernel
def logs(values: Floats) -> Floats:
    """The natural logarithm of each number > 0."""
    result = np.empty(len(values))
    for n in range(len(values)):
        result[n] = log(values[n])
    return result


@kernel
def add_rows(out: Floats, weights: Floats, rows: Floats, left: int) -> None:
    """Add Σ `weights[n]` × `rows[n]` to `out`, row by row, in place.

    Args:
        out: (columns,).
        weights: (rows,).
        rows: (rows, columns), contiguous: of a slice the compiler would not know that columns are neighbors.
        left: the first column that is added; those before it stay as they are.
    """
    # Eight rows a pass read and write `out` an eighth as often; each element's sum keeps the order of the rows.
    whole = len(weights) - len(weights) % 8
    # Unsigned, for twice the speed: numba lets signed indices count from the end, which keeps columns apart.
    begin, end = np.uint64(left), np.uint64(len(out))
    for n in range(0, whole, 8):
        a, b, c, d = weights[n], weights[n + 1], weights[n + 2], weights[n + 3]
        e, f, g, h = weights[n + 4], weights[n + 5], weights[n + 6], weights[n + 7]
        row_a, row_b, row_c, row_d = rows[n], rows[n + 1], rows[n + 2], rows[n + 3]
        row_e, row_f, row_g, row_h = rows[n + 4], rows[n + 5], rows[n + 6], rows[n + 7]
        for k in range(begin, end):
            half = (((out[k] + a * row_a[k]) + b * row_b[k]) + c * row_c[k]) + d * row_d[k]
            out[k] = (((half + e * row_e[k]) + f * row_f[k]) + g * row_g[k]) + h * row_h[k]
    for n in range(whole, len(weights)):
        weight, row = weights[n], rows[n]
        for k in range(begin, end):
            out[k] += weight * row[k]


@kernel
def dot(left: Floats, right: Floats) -> float:
    """Σ `left[n]` × `right[n]`: every fourth product is a sum of its own, and these are added in pairs."""
    # One running sum would wait for each addition; a compiler must not split it, so it is split here.
    a = b = c = d = 0.0
    whole = len(left) - len(left) % 4
    for n in range(0, whole, 4):
        a += left[n] * right[n]
        b += left[n + 1] * right[n + 1]
        c += left[n + 2] * right[n + 2]
        d += left[n + 3] * right[n + 3]
    for n in range(whole, len(left)):
        a += left[n] * right[n]
    return (a + b) + (c + d)


@kernel
def add_outer(total: Floats, weights: Floats, rows: Floats) -> None:
    """Add Σ `weights[n]` × `rows[n]` × `rows[n]`ᵀ to `total` on and above its diagonal, in place.

    Args:
        total: (columns, columns); up to 15 columns left of the diagonal are used as scratch.
        weights: (rows,).
        rows: (rows, columns), contiguous.
    """
    turned = np.empty((rows.shape[1], _BAND))
    for start in range(0, len(rows), _BAND):
        band = rows[start : start + _BAND]
        for n in range(len(band)):
            for k in range(rows.shape[1]):
                turned[k, n] = weights[start + n] * band[n, k]
        for k in range(rows.shape[1]):
            # From a multiple of the band on, so that the compiler takes whole groups of columns: hence the scratch.
            add_rows(total[k], turned[k, : len(band)], band, k - k % _BAND)


@kernel
def gram(rows: Floats) -> Floats:
    """Σ row × rowᵀ (columns, columns) of `rows` (rows, columns): symmetric to the last bit."""
    size = rows.shape[1]
    total = np.zeros((size, size))
    add_outer(total, np.ones(len(rows)), rows)
    for k in range(size):
        for other in range(k):
            total[k, other] = total[other, k]  # overwrites the scratch of `add_outer`, too
    return total


@kernel
def solve_positive(matrix: Floats, right: Floats) -> bool:
    """Solve `matrix` × x = `right` by Cholesky's UᵀU, and put x in the place of `right`.

    Args:
        matrix: symmetric (size, size), contiguous; only what is on and above the diagonal counts, and is overwritten.
        right: (size,).

    Returns:
        False where the matrix is not positive definite; `right` then means nothing.
    """
    size = len(right)
    weights = np.empty(_BAND)
    for start in range(0, size, _BAND):
        end = min(start + _BAND, size)
        for row in range(start, size):  # those up to `end` become rows of U, the others lose their share of them
            above = min(row, end) - start
            for n in range(above):
                weights[n] = -matrix[start + n, row]
            add_rows(matrix[row], weights[:above], matrix[start : start + above], row - row % _BAND)
            if row < end:
                if not matrix[row, row] > 0.0:  # NaN too
                    return False
                scale = 1.0 / np.sqrt(matrix[row, row])
                for k in range(row, size):
                    matrix[row, k] *= scale
    for k in range(size):
        right[k] /= matrix[k, k]
        for n in range(k + 1, size):
            right[n] -= right[k] * matrix[k, n]
    for k in range(size - 1, -1, -1):
        right[k] = (right[k] - dot(matrix[k, k + 1 :], right[k + 1 :])) / matrix[k, k]
    return True


@kernel
def invert_positive(matrix: Floats) -> bool:
    """Put the inverse of a symmetric positive definite matrix (size, size), contiguous, in its place.

    Gauss-Jordan elimination by bands of rows, on and above the diagonal (the sweep operator: Goodnight, 1979).

    Returns:
        False where the matrix is not positive definite; it then means nothing.
    """
    size = len(matrix)
    for start in range(0, size, _PIVOTS):
        end = min(start + _PIVOTS, size)
        band, inverse = np.empty((end - start, size)), np.zeros((end - start, end - start))
        for n in range(len(band)):
            for k in range(size):
                # Below the diagonal nothing is kept current: read its mirror image.
                band[n, k] = matrix[start + n, k] if k >= start + n else matrix[k, start + n]
        for n in range(len(band)):
            inverse[n, n] = 1.0
            if not solve_positive(band[:, start:end].copy(), inverse[n]):  # which overwrites its matrix
                return False
        solved = np.zeros(band.shape)
        for n in range(len(band)):
            add_rows(solved[n], inverse[n], band, 0)
        _eliminate(matrix, band, solved)
        for n in range(len(band)):
            matrix[:start, start + n] = solved[n, :start]
            matrix[start + n, start:end] = -inverse[n]
            matrix[start + n, end:] = solved[n, end:]
    for row in range(size):
        for k in range(row, size):
            # Sweeping every row leaves the negative inverse.
            matrix[row, k] = -matrix[row, k]
            matrix[k, row] = matrix[row, k]
    return True


@kernel
def _eliminate(matrix: Floats, band: Floats, solved: Floats) -> None:
    """Subtract bandᵀ × `solved` from `matrix` on and above its diagonal."""
    weights = np.empty(len(band))
    for left in range(0, len(matrix), _TILE):
        right = min(left + _TILE, len(matrix))
        # Copied to be contiguous, as `add_rows` wants rows.
        tile = solved[:, left:right].copy()
        for row in range(right):
            for n in range(len(band)):
                weights[n] = -band[n, row]
            add_rows(matrix[row, left:right], weights, tile, max(row - row % _BAND - left, 0))


@kernel
def sigmoid(value: float) -> float:
    """1 / (1 + e^-value)."""
    if value >= 0.0:
        return 1.0 / (1.0 + exponential(-value))
    odds = exponential(value)
    return odds / (1.0 + odds)


@kernel
def softplus(value: float) -> float:
    """Log(1 + e^value): the logistic loss of a score of -value."""
    odds = exponential(-abs(value))
    # log(1 + odds) = 2 artanh(odds / (2 + odds)), whose argument is a third at most.
    part = odds / (2.0 + odds)
    square, total = part * part, 0.0
    for n in range(33, 0, -2):
        total = total * square + 1.0 / n
    return max(value, 0.0) + 2.0 * part * total
