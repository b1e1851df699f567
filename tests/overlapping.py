"""Files of a shop that overlap: each brings rows of days before again, which the key of their table tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from unittest.mock import patch

from tasks.sources import datasets
from tasks.sources.datasets import Dataset, Table
from tests.tiny_pipelines import sales

OPENS, SATURDAY = date(2011, 1, 4), 5
KEY = ("invoice_no", "stock_code")
_load = datasets.load_dataset


def keyed(name: str) -> Dataset:
    """Load a data set as if the shop's lines had a key."""
    dataset = _load(name)
    if name != "online_retail":
        return dataset
    lines = Table.model_validate({**dataset.tables["lines"].model_dump(exclude_unset=True), "key": KEY})
    return dataset.model_copy(update={"tables": {**dataset.tables, "lines": lines}})


@contextmanager
def lines_with_a_key() -> Iterator[None]:
    """Let whoever opens a source find the key."""
    with patch.object(datasets, "load_dataset", keyed):
        yield


def sales_and_some_again(day: date) -> list[str]:
    """The lines of a day, and behind them some of each of the three days before that had a file."""
    before = [day - timedelta(days=n) for n in (1, 2, 3)]
    sent = [one for one in before if one >= OPENS and one.weekday() != SATURDAY]
    return [*sales(day), *(line for one in sent for line in sales(one)[::4])]
