"""Is a flipped bit noticed wherever it lies? `python -m bench.bit_flips --flips 300 --seed 7`.

A tiny pipeline runs for two days, and the next day up to its gate. Then, for each flip, one bit of one file of a copy
is flipped and what follows is run: the steps that read such a file next (`bench/_flip_places.py`), and the whole next
day for the first flip of each place where there are several; then the report, the overview, the list of rejected rows
and `matinee verify`. A flip is *noticed* if a message
names the file, *healed* if the file was made again, *harmless* if nothing reads it; in both cases the results must be
those of the undisturbed run, byte by byte. Results that differ without a word are *silent*: a defect.

`python -m bench.bit_flips cost` measures what the checks cost: runs of a day with and without them, in turns.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import chain, cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from bench._flip_cost import cost
from bench._flip_places import PLACES, Flip, Place, choose
from bench._flip_state import Results, State, copy_of, flip, follow, page_at, prepare
from bench._results import home_of, keep, table
from tasks.errors import MatineeError
from tasks.operations.verification.walk import verify

PIPELINE = Path(__file__).with_name("bit_flips.yaml")
AS_OF = date(2026, 1, 20)
Kind = Literal["by a step", "by `verify`", "healed", "harmless", "not named", "crash", "SILENT"]
KINDS: tuple[Kind, ...] = ("by a step", "by `verify`", "healed", "harmless", "not named", "crash", "SILENT")
DEFECTS: tuple[Kind, ...] = ("not named", "crash", "SILENT")
Expected = dict[tuple[str, str, str, bool], Results]
"""What follows undisturbed, by `Place.what_follows`."""


@dataclass(frozen=True)
class Outcome:
    """What came of a flip."""

    flip: Flip
    kind: Kind
    detail: str


@contextmanager
def warnings() -> Iterator[list[str]]:
    """Collect what steps and pages log as a warning."""
    said: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler, log = Collector(logging.WARNING), logging.getLogger("matinee")
    log.addHandler(handler)
    try:
        yield said
    finally:
        log.removeHandler(handler)


def undisturbed(state: State, folder: Path, places: Sequence[Place]) -> Expected:
    """Follow each stage without a flip, twice: what differs then could not be blamed on a flip."""
    expected: Expected = {}
    for key in dict.fromkeys(place.what_follows for place in places):
        stage, begin, end, rebuild = key
        twice = []
        for name in ("once", "again"):
            with copy_of(state, stage, folder / name, rebuild=rebuild) as run:
                twice.append(follow(run, begin, end, []))
                faults = verify(run.home).faults
        if differing := _differences(*twice) or [fault.place for fault in faults]:
            raise MatineeError(f"{stage} from {begin}: not the same without a flip: {', '.join(differing[:5])}")
        expected[key] = twice[0]
    return expected


def _differences(ours: Results, theirs: Results) -> list[str]:
    return sorted(name for name in ours | theirs if ours.get(name) != theirs.get(name))


def attempt(state: State, expected: Expected, folder: Path, one: Flip) -> Outcome:
    """Flip a bit in a copy of the state, let happen what follows, and say what came of it."""
    place = one.place
    with (
        copy_of(state, place.stage, folder / str(os.getpid()), rebuild=place.rebuild) as run,
        warnings() as said,
    ):
        path = run.home.root / one.path
        flipped = flip(path, one.offset, one.bit)
        at: list[str] = []
        try:
            results = follow(run, place.begin, place.end, at)
        except MatineeError as error:
            named = any(_names(path, text) for text in (str(error), *said))
            return Outcome(one, "by a step" if named else "not named", f"{at[-1]}: {error}")
        except Exception as error:
            return Outcome(one, "crash", f"{at[-1]}: {type(error).__name__}: {error}")
        healed = not path.exists() or page_at(path, one.offset) != flipped
        wanted = dict(expected[place.what_follows])
        if not healed:  # a file that nobody has read still differs
            results.pop(one.path, None)
            wanted.pop(one.path, None)
        named_by_verify = [fault for fault in verify(run.home).faults if _names(path, f"{fault.place} {fault.problem}")]
        if not any(name.startswith("table ") for name in results):  # unreadable, which `verify` must have noticed
            wanted = {name: value for name, value in wanted.items() if not name.startswith("table ")}
        differing = _differences(results, wanted)
        warned = [text for text in said if _names(path, text)]
        if differing:
            return Outcome(one, "by a step" if warned else "SILENT", f"{', '.join(differing[:4])}; {warned[:1]}")
        if named_by_verify:
            return Outcome(one, "by `verify`", named_by_verify[0].problem)
        if healed:
            return Outcome(one, "healed", (warned or ["written anew"])[0])
        # Of a byte that is said to hold data, somebody ought to have spoken.
        return Outcome(one, "harmless" if one.note else "SILENT", one.note or "nobody noticed, yet nothing differs")


def _names(path: Path, text: str) -> bool:
    """Whether a text names a file, by its path or within one of the folders around it, which it names first."""
    around = next((folder for folder in path.parents if text.startswith((f"{folder} ", f"{folder}: "))), None)
    return str(path) in text or (around is not None and str(path.relative_to(around)) in text)


def flips(state: State, count: int, seed: int, processes: int, folder: Path) -> list[Outcome]:
    """Try the flips, spread evenly over the places, and print each as it comes."""
    first_round = [place.whole_day(state) for place in PLACES] if count > len(PLACES) else PLACES
    places = list(islice(chain(first_round, cycle(PLACES)), count))
    chosen = [choose(state, place, number, seed) for number, place in enumerate(places)]
    expected = undisturbed(state, folder, [one.place for one in chosen])
    work = partial(attempt, state, expected, folder)
    outcomes = []
    with ExitStack() as stack:
        # Not forked: DuckDB's and dbt's threads would be lost on the way.
        pool = stack.enter_context(ProcessPoolExecutor(processes, get_context("spawn"))) if processes > 1 else None
        for outcome in map(work, chosen) if pool is None else pool.map(work, chosen):
            outcomes.append(outcome)
            one = outcome.flip
            print(f"{one.number:>4} {outcome.kind:<12} {one.path} byte {one.offset} bit {one.bit}", flush=True)
            print(f"     {' '.join(outcome.detail.split())[:400]}", flush=True)
    return outcomes


def report(outcomes: Sequence[Outcome], seed: int) -> str:
    """Lay out the table: a row for each place."""
    kinds = [kind for kind in KINDS if kind not in DEFECTS[:2] or any(one.kind == kind for one in outcomes)]
    rows = []
    for place in dict.fromkeys(one.flip.place.name for one in outcomes):
        of_place = [one for one in outcomes if one.flip.place.name == place]
        counts = Counter(one.kind for one in of_place)
        rows.append((place, str(len(of_place)), *(str(counts[kind] or "") for kind in kinds)))
    counts = Counter(one.kind for one in outcomes)
    rows.append(("all", str(len(outcomes)), *(str(counts[kind]) for kind in kinds)))
    harmless = Counter(one.detail for one in outcomes if one.kind == "harmless")
    why = "; ".join(f"{count} × {detail}" for detail, count in harmless.items())
    defects = [one for one in outcomes if one.kind in DEFECTS]
    return "\n".join(
        [
            f"## {len(outcomes)} flipped bits",
            "",
            "One bit each, in a copy of a state folder. `by a step`: an error or a warning of the steps that follow, "
            "of a page or of a command names the file. `by verify`: nobody has read it yet, the results are those of "
            "the undisturbed run, byte by byte, and `matinee verify` names it. `healed`: the file, or the block, was "
            f"written anew, same results. `harmless`: nothing reads the byte, same results{f' ({why})' if why else ''}."
            f" Made by `python -m bench.bit_flips --flips {len(outcomes)} --seed {seed} --write`.",
            "",
            table(("place", "flips", *kinds), rows),
            *(f"\n{one.kind}: {one.flip.path}, byte {one.flip.offset}, bit {one.flip.bit}" for one in defects),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("flips", "cost"), default="flips")
    parser.add_argument("--flips", type=int, default=23, help="how many bits")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--processes", type=int, default=2, help="of `flips`: how many at once")
    parser.add_argument("--pipeline", type=Path, default=PIPELINE, help="of `flips`: its file; a small one")
    parser.add_argument("--as-of", type=date.fromisoformat, default=AS_OF, help="of `flips`: the last finished day")
    parser.add_argument("--days", nargs="+", default=["streaming=2026-02-26"], help="of `cost`: <pipeline>=<day> …")
    parser.add_argument("--data", type=Path, help="of `cost`: folder of a files source")
    parser.add_argument("--pairs", type=int, default=3, help="of `cost`: runs with and without checks")
    parser.add_argument("--home", type=Path, help="state folder; a temporary one if absent")
    parser.add_argument("--write", action="store_true", help="keep the table in bench/results/")
    given = parser.parse_args(arguments)
    with home_of(given.home) as home:
        if given.what == "cost":
            text = cost(home, given.days, given.data, given.pairs)
        else:
            state = prepare(home, given.pipeline.resolve(), given.as_of)
            text = report(flips(state, given.flips, given.seed, given.processes, home / "flips"), given.seed)
    print(text)
    if given.write:
        keep("bit_flips", "Flipped bits", ("flips", "cost"), given.what, text)


if __name__ == "__main__":
    main()
