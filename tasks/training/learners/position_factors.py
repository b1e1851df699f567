"""What position-aware lambdarank learns of positions: LightGBM keeps it in no model and only logs it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_LINE = re.compile(r"^\[LightGBM\] \[Debug\]\s+(-?\d+)\s+(\S+)\s*$")
VERBOSITY = 2
"""LightGBM's, at which it logs the factors after each round."""


@dataclass(eq=False)
class PositionFactors:
    """A logger for LightGBM that keeps the last factor of each position, by position."""

    factors: dict[int, float] = field(default_factory=dict)

    def info(self, text: str) -> None:
        """Read a line of the log; all others of this verbosity are for LightGBM's own developers."""
        if match := _LINE.match(text):
            self.factors[int(match[1])] = float(match[2])

    def warning(self, text: str) -> None:
        """Pass on a warning of LightGBM's Python package."""
        logging.getLogger("lightgbm").warning(text)


@contextmanager
def listening() -> Iterator[PositionFactors]:
    """Yield what LightGBM logs of positions while it trains."""
    import lightgbm

    log = PositionFactors()
    lightgbm.register_logger(log)
    try:
        yield log
    finally:
        lightgbm.register_logger(logging.getLogger("lightgbm"))
