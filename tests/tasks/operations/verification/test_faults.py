"""An error that is met on the way becomes a fault that says each thing once; a bug stays one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import MatineeError
from tasks.operations.verification.faults import DiskFault, collected, fault_of

PLACE = Path("/state/a.json")
FAULT = DiskFault(part="registry", place="x", problem="torn", next="restore it")


def test_place_and_remedy_are_said_once() -> None:
    fault = fault_of("registry", PLACE, MatineeError("/state/a.json: not JSON; restore it"), "restore it")
    assert (fault.place, fault.problem, fault.next) == ("/state/a.json", "not JSON", "restore it")
    other = fault_of("registry", PLACE, MatineeError("line 3 is torn; ask somebody"), "restore it")
    assert (other.problem, other.next) == ("line 3 is torn; ask somebody", "restore it")


def test_an_error_of_the_disk_is_a_fault() -> None:
    assert fault_of("landing", PLACE, PermissionError(13, "Permission denied"), "x").problem.startswith(
        "Permission denied"
    )


def test_an_error_on_the_way_is_one_fault_more() -> None:
    def look() -> Iterator[DiskFault]:
        yield FAULT
        raise MatineeError("/state/a.json: gone")

    assert [fault.problem for fault in collected("registry", PLACE, "restore it", look)] == ["torn", "gone"]


def test_a_bug_stays_a_bug() -> None:
    with pytest.raises(KeyError):
        fault_of("registry", PLACE, KeyError("x"), "restore it")
