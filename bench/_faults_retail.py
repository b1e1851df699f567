"""Faults of the shop's daily files: how they are written, what is in them, what is made of them."""

from __future__ import annotations

import hashlib

from bench._fault_kinds import BROKEN_MODELS, cells, delivered, in_warehouse, lines, not_delivered
from bench._faults import Fault

HEADER_ERROR = ("landing error *line 1: found the header*",)
LESS_OF_A_DAY = (
    "landed lines invoice_date__vanished",
    "landed lines *__hours_to_end",
    "landed lines rows",
    "landed lines rows_vs_*",
)
"""The shop's days differ fifteenfold: a part of one is strange, and no reason to stop."""


def some(text: str, share: int) -> bool:
    """Whether a text is among so many in a hundred; the same ones every time."""
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), 16) % 100 < share


def some_lines(line: int, share: int) -> bool:
    """Whether a line is among so many in a hundred."""
    return some(str(line), share)


FILES = [
    Fault(
        "file missing",
        "no file for a Monday",
        ("landing error *no file for Monday*",),
        True,
        not_delivered,
    ),
    Fault(
        "empty file",
        "a file without a byte",
        ("landing error *the file is empty*",),
        True,
        delivered(lambda content, _: b""),
    ),
    Fault(
        "empty day",
        "the header, and no line below it",
        (
            "landed lines rows",
            "landed lines rows_vs_*",
            "landed lines unexpectedly_empty",
        ),
        True,
        lines(lambda rows: []),
    ),
    Fault(
        "dropped column",
        "the file lacks `Country`",
        HEADER_ERROR,
        True,
        delivered(lambda content, _: b"".join(row.rpartition(b",")[0] + b"\n" for row in content.splitlines())),
    ),
    Fault(
        "renamed column",
        "`CustomerID` is called `Customer ID`, as in the data set's second edition",
        HEADER_ERROR,
        True,
        delivered(lambda content, _: content.replace(b"CustomerID", b"Customer ID", 1)),
    ),
    Fault(
        "extra column",
        "every line has a new last column",
        HEADER_ERROR,
        True,
        delivered(
            lambda content, _: b"".join(
                row + (b",Channel\n" if n == 0 else b",web\n") for n, row in enumerate(content.splitlines())
            )
        ),
    ),
    Fault(
        "wrong delimiter",
        "semicolons",
        HEADER_ERROR,
        True,
        delivered(lambda content, _: content.replace(b",", b";")),
    ),
    Fault(
        "UTF-16",
        "the file was saved by a spreadsheet, as UTF-16",
        ("landing error *not UTF-8 text*",),
        True,
        delivered(lambda content, _: content.decode("utf-8").encode("utf-16")),
    ),
    Fault(
        "truncated file",
        "the transfer ended after two fifths of the bytes, within a line",
        (*LESS_OF_A_DAY, "landed lines unparsed__rate"),
        False,
        delivered(lambda content, _: content[: len(content) * 2 // 5]),
    ),
    Fault(
        "half a file",
        "every second line",
        ("landed lines rows", "landed lines rows_vs_*", "landed lines *invoice*"),
        False,
        lines(lambda rows: rows[::2]),
    ),
    Fault(
        "duplicated file",
        "all lines are there twice",
        ("landed lines *duplicate*", "features lines: exact_duplicate *"),
        True,
        lines(lambda rows: rows + rows),
    ),
    Fault(
        "header twice",
        "the file of the day before and today's, one behind the other, each with its header",
        ("landed lines another_day__rate",),
        True,
        delivered(lambda content, files: files.before() + content),
    ),
    Fault(
        "yesterday's file again",
        "the file of the day before under today's name",
        ("landed lines another_day__rate",),
        True,
        delivered(lambda _, files: files.before()),
    ),
    Fault(
        "yesterday's rows under today's times",
        "the file of the day before, its dates replaced by today's",
        ("landed lines *__seen_before_rate",),
        True,
        delivered(lambda _, files: files.before().replace(b"2011-10-30", b"2011-10-31")),
    ),
]

CELLS = [
    Fault(
        "decimal comma",
        "prices as 2,08",
        ("landed lines unparsed__rate",),
        True,
        cells(UnitPrice=lambda cell, _: cell.replace(".", ",")),
    ),
    Fault(
        "local date format",
        "31/10/2011 08:29",
        ("landed lines unparsed__rate", "landed lines invoice_date__*"),
        True,
        cells(InvoiceDate=lambda cell, _: f"{cell[8:10]}/{cell[5:7]}/{cell[:4]} {cell[11:16]}"),
    ),
    Fault(
        "clock shift of a day",
        "all invoices are of tomorrow",
        ("landed lines another_day__rate",),
        True,
        cells(InvoiceDate=lambda cell, _: cell.replace("2011-10-31", "2011-11-01")),
    ),
    Fault(
        "clock shift of hours",
        "all invoices are five hours early: the shop sells at night",
        ("landed lines invoice_date__vanished", "landed lines *__hours_to_end"),
        False,
        cells(InvoiceDate=lambda cell, _: f"{cell[:11]}{int(cell[11:13]) - 5:02}{cell[13:]}"),
    ),
    Fault(
        "missing hours",
        "the day ends at noon",
        LESS_OF_A_DAY,
        False,
        lines(lambda rows: [row for row in rows if any(b"2011-10-31 %02d" % hour in row for hour in range(12))]),
    ),
    Fault(
        "unit × 100",
        "prices in pence",
        ("landed lines unit_price__*",),
        True,
        cells(UnitPrice=lambda cell, _: f"{float(cell) * 100:.2f}"),
    ),
    Fault(
        "skewed prices",
        "one price in four is a thousandfold",
        ("landed lines unit_price__*",),
        True,
        cells(UnitPrice=lambda cell, n: f"{float(cell) * 1000:.2f}" if some_lines(n, 25) else cell),
    ),
    Fault(
        "negative quantities",
        "all quantities have the other sign",
        ("landed lines *quantity*", "features lines: quantity_not_positive *"),
        True,
        cells(Quantity=lambda cell, _: str(-int(cell))),
    ),
    Fault(
        "constant quantity",
        "every quantity is 1",
        ("landed lines *quantity*",),
        False,
        cells(Quantity=lambda cell, _: "1"),
    ),
    Fault(
        "30 % nulls: product",
        "lines lose `StockCode`",
        ("landed lines stock_code__null_rate",),
        True,
        cells(StockCode=lambda cell, n: "" if some_lines(n, 30) else cell),
    ),
    Fault(
        "30 % nulls: name",
        "lines lose `Description`",
        ("landed lines description__null_rate",),
        False,
        cells(Description=lambda cell, n: "" if some_lines(n, 30) else cell),
    ),
    Fault(
        "30 % nulls: quantity",
        "lines lose `Quantity`",
        ("landed lines quantity__*", "landed lines unparsed__rate", "features lines: quantity_not_positive *"),
        True,
        cells(Quantity=lambda cell, n: "" if some_lines(n, 30) else cell),
    ),
    Fault(
        "all customers lost",
        "no line has a customer",
        ("landed lines customer_id__null_rate",),
        True,
        cells(CustomerID=lambda cell, _: ""),
    ),
    Fault(
        "one country missing",
        "no lines of the United Kingdom",
        (
            "landed lines country__*",
            "landed lines rows",
            "landed lines rows_vs_*",
            "landed lines customer_id__approx_distinct",
        ),
        True,
        lines(lambda rows: [row for row in rows if b"United Kingdom" not in row]),
    ),
    Fault(
        "bot",
        "one customer buys 100,000 times",
        ("landed lines rows", "landed lines rows_vs_*", "landed lines customer_id__*"),
        True,
        lines(
            lambda rows: (
                rows
                + [
                    b"599999,%d,BOT,1,2011-10-31 12:00:00,1.0,99999.0,United Kingdom\n" % (20000 + n % 2000)
                    for n in range(100_000)
                ]
            )
        ),
    ),
    Fault(
        "test traffic of one product",
        "three in five lines are of one product",
        ("landed lines stock_code__*",),
        True,
        cells(StockCode=lambda cell, n: "22423" if some_lines(n, 60) else cell),
    ),
    Fault(
        "exploded cardinality",
        "product codes have a suffix of their own",
        ("landed lines stock_code__*",),
        True,
        cells(
            StockCode=lambda cell, n: f"{cell}-{hashlib.md5(str(n).encode(), usedforsecurity=False).hexdigest()[:6]}"
        ),
    ),
    Fault(
        "encoding rubbish",
        "names and countries with replacement characters",
        ("landed lines encoding_rubbish__rate", "landed lines *__unreadable_rate"),
        True,
        cells(Description=lambda cell, _: cell.replace("E", "�"), Country=lambda cell, _: cell.replace("e", "�")),
    ),
    Fault(
        "mojibake",
        "the file was read as Latin-1 and written as UTF-8, after a `£` was put into half of the names",
        ("landed lines description__unreadable_rate",),
        False,
        cells(Description=lambda cell, n: f"Â£ {cell}" if some_lines(n, 50) else cell),
    ),
    Fault(
        "all customers are new",
        "the id scheme changed: C-14688",
        ("landed lines customer_id__*", "landed lines odd_customer__rate"),
        True,
        cells(CustomerID=lambda cell, _: f"C-{cell[:5]}" if cell else cell),
    ),
    Fault(
        "swapped columns",
        "codes and names are swapped",
        ("landed lines not_a_product__rate", "landed lines stock_code__*"),
        True,
        delivered(
            lambda content, _: (
                b"\n".join(
                    b",".join([p[0], p[2], p[1], *p[3:]]) if b'"' not in row and n else row
                    for n, row in enumerate(content.splitlines())
                    for p in [row.split(b",")]
                )
                + b"\n"
            )
        ),
    ),
    Fault(
        "everything cancelled",
        "every invoice is a cancellation",
        ("landed lines cancelled__rate", "features lines: quantity_not_negative *"),
        True,
        cells(InvoiceNo=lambda cell, _: f"C{cell.lstrip('C')}"),
    ),
]

LATER = [
    Fault(
        "constant feature",
        "SQL with a bug: `item_actions_28d` is 0 for every product",
        ("features feat_items *constant*", "features feat_items item_actions_28d__*"),
        True,
        in_warehouse("update feat_items set item_actions_28d = 0 where as_of = date '{day}'"),
        after="build",
    ),
    Fault(
        "features of half the customers missing",
        "a join loses every second customer",
        ("features active_users *", "features feat_users rows*"),
        True,
        in_warehouse("delete from feat_users where as_of = date '{day}' and hash(user_id) % 2 = 0"),
        after="build",
    ),
    *BROKEN_MODELS,
]

FAULTS = [*FILES, *CELLS, *LATER]
