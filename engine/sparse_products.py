"""Products of sparse matrices (CSR), each sum in the order of the rows that are added: the same bits everywhere.

`scipy` adds in the same order, but takes twice as long: it keeps a list of the columns that it has met, and leaves them
to be sorted. Columns are unsigned here, or each would be asked whether it counts from the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.arrays import Floats, kernel

Whole = npt.NDArray[np.integer[Any]]
Columns = npt.NDArray[np.uint32]


@kernel
def product_row(
    numbers: Whole, weights: Floats, offsets: Whole, columns: Columns, values: Floats, totals: Floats
) -> None:
    """Write one row of a product into `totals`: Σ `weights[n]` × row `numbers[n]` of a matrix.

    Args:
        numbers: of the rows that are added, ascending.
        weights: what each is multiplied with.
        offsets: of the matrix.
        columns: of the matrix.
        values: of the matrix.
        totals: (columns of the matrix,).
    """
    totals[:] = 0.0
    for n in range(len(numbers)):
        own = slice(offsets[numbers[n]], offsets[numbers[n] + 1])
        column, value = columns[own], values[own]
        for entry in range(len(column)):
            totals[column[entry]] += weights[n] * value[entry]


@kernel
def gram(offsets: Whole, columns: Columns, values: Floats, turned: tuple[Whole, Whole]) -> Floats:
    """XᵀX, dense, of a matrix X whose columns ascend within each row.

    Args:
        offsets: of X.
        columns: of X.
        values: of X.
        turned: offsets and columns of Xᵀ.
    """
    starts, rows = turned
    products = np.zeros((len(starts) - 1, len(starts) - 1))
    place = offsets[:-1].copy()  # in each row of X, the entry of the column whose turn comes next
    for left in range(len(products)):
        for row in rows[starts[left] : starts[left + 1]]:
            own = slice(place[row], offsets[row + 1])
            column, value = columns[own], values[own]
            place[row] += 1
            for entry in range(len(column)):
                products[left, column[entry]] += value[0] * value[entry]
    for left in range(len(products)):
        for right in range(left):
            products[left, right] = products[right, left]
    return products
