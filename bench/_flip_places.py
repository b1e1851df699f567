"""Where bits are flipped: every kind of file that a run, a page or a command reads, and the steps that read it next."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import duckdb

from bench._flip_state import BLOCK, DAY, HEADERS, Stage, State
from tasks.store.sql import literal


@dataclass(frozen=True)
class Place:
    """A kind of place.

    Attributes:
        name: what people call it.
        files: patterns below the home; `{p}` is the pipeline, `{before}` and `{day}` the finished days,
            `{next}` the next one.
        stage: whether the next day has still to run, or has run up to its gate.
        begin: the first step that is run after the flip.
        end: the last step; after `publish` comes the report.
        rebuild: whether the tables are made anew from the landing, as after a change of the SQL.
        blocks: of a DuckDB file, which blocks: `rows`, `ledger`, `headers`; any byte if empty.
    """

    name: str
    files: tuple[str, ...]
    stage: Stage = "finished"
    begin: str = "land"
    end: str = "publish"
    rebuild: bool = False
    blocks: str = ""

    @property
    def what_follows(self) -> tuple[Stage, str, str, bool]:
        """The stage, the first and the last step, and whether the tables are made anew."""
        return self.stage, self.begin, self.end, self.rebuild

    def paths(self, state: State) -> list[Path]:
        """The files in the state, in order."""
        home = state.stage(self.stage)
        names = {"p": state.pipeline.stem, "before": state.as_of - DAY, "day": state.as_of, "next": state.next}
        found = {path for one in self.files for path in home.glob(one.format(**names)) if path.is_file()}
        return sorted(path for path in found if path.stat().st_size)

    def whole_day(self, state: State) -> Place:
        """The same with a whole day behind it, if its files are there before the day is run."""
        whole = replace(self, stage="finished", begin="land", end="publish")
        return whole if whole.paths(state) else self


def _artifacts(name: str, *patterns: str, begin: str) -> Place:
    return Place(name, tuple(f"runs/{{p}}/{{next}}/1/{one}" for one in patterns), "gated", begin)


PARTITIONS = ("landing/*/*/ds=*/*.parquet",)
WAREHOUSE = ("warehouse/*.duckdb",)
EVALUATING: tuple[Stage, str] = ("gated", "evaluate")
PUBLISHING: tuple[Stage, str] = ("gated", "publish")
CHECKING: tuple[Stage, str, str] = ("gated", "check_features", "check_features")
VERSIONS = "registry/{p}/versions"
PLACES = (
    Place("landing: partitions that are loaded again", PARTITIONS, rebuild=True),
    Place("landing: partitions whose rows are in the tables", PARTITIONS, end="build"),
    Place("landing: manifests", ("landing/*/*/ds=*/manifest.json",)),
    Place("profiles", ("profiles/*/*/*.json",), end="check_landed"),
    Place("warehouse: blocks of rows", WAREHOUSE, blocks="rows"),
    Place("warehouse: ledger, metadata and headers", WAREHOUSE, blocks="ledger"),
    Place("warehouse: any byte", WAREHOUSE),
    Place("dbt's parse of the SQL", ("dbt/*/target/partial_parse.*",), end="build"),
    Place("retrieval: candidates", ("retrieval/{p}/cut=*/*/candidates.parquet",), "gated", "retrieve"),
    Place("retrieval: models and catalogs", ("retrieval/{p}/cut={next}/*/*.*",), "gated", "retrieve"),
    Place("retrieval: digests", ("retrieval/{p}/cut=*/*/digests.json",), "gated", "retrieve"),
    _artifacts("run: sample", "sample/*", "sample/serving/*", begin="check_examples"),
    _artifacts("run: models", "train/*/*/*", begin="monitor"),
    _artifacts("run: metrics", "evaluate/*", begin="check_predictions"),
    _artifacts("run: results of steps", "gate/*", "retrieve/*", "sample/*.json", "train/*/*.json", begin="publish"),
    Place("run: results of earlier days", ("runs/{p}/{before}/1/*/*.json", "runs/{p}/{day}/1/*/*.json"), *PUBLISHING),
    Place("registry: the champion's descriptor", (f"{VERSIONS}/{{day}}.*/descriptor.json",), *EVALUATING),
    Place(
        "registry: the champion's artifacts", (f"{VERSIONS}/{{day}}.*/*/*", f"{VERSIONS}/{{day}}.*/*.p*"), *EVALUATING
    ),
    Place("registry: an older version", (f"{VERSIONS}/{{before}}.*/*", f"{VERSIONS}/{{before}}.*/*/*"), *EVALUATING),
    Place("registry: alias", ("registry/{p}/aliases/*.json",), *EVALUATING),
    Place("registry: timeline", ("registry/{p}/timeline.jsonl",), *EVALUATING),
    Place("registry: head of the timeline", ("registry/{p}/timeline_head.json",), *EVALUATING),
    Place("quarantine: manifests", ("quarantine/{p}/*/ds=*/manifest.json",), *CHECKING),
    Place("quarantine: rows", ("quarantine/{p}/*/ds=*/*.parquet",), *CHECKING),
)


@dataclass(frozen=True)
class Flip:
    """One bit of one file."""

    number: int
    place: Place
    path: str
    """Below the home."""
    offset: int
    bit: int
    note: str = ""
    """What is known of the byte beforehand: a free block, say."""


def choose(state: State, place: Place, number: int, seed: int) -> Flip:
    """Draw a file of a place, and a bit in it."""
    draw = random.Random(f"{seed}/{number}/{place.name}")
    path = draw.choice(place.paths(state))
    offset = draw.randrange(path.stat().st_size)
    note = ""
    if path.suffix == ".duckdb":
        blocks = blocks_of(path)
        if place.blocks:
            offset = blocks.offset(place.blocks, draw)
        note = "" if blocks.holds_data(offset) else "a free block"
    return Flip(number, place, str(path.relative_to(state.stage(place.stage))), offset, draw.randrange(8), note)


@dataclass(frozen=True)
class Blocks:
    """The blocks of a DuckDB file by what they hold; the file's headers come before the first of them."""

    rows: tuple[int, ...]
    ledger: tuple[int, ...]
    metadata: tuple[int, ...]

    def offset(self, kind: str, draw: random.Random) -> int:
        """Draw a byte of a kind of block; the small kinds are one."""
        if kind == "rows":
            return HEADERS + draw.choice(self.rows) * BLOCK + draw.randrange(BLOCK)
        block = draw.choice([None, *self.metadata, *self.ledger])
        return draw.randrange(HEADERS) if block is None else HEADERS + block * BLOCK + draw.randrange(BLOCK)

    def holds_data(self, offset: int) -> bool:
        """Whether anything that the file's catalog knows of lies there."""
        return offset < HEADERS or (offset - HEADERS) // BLOCK in {*self.rows, *self.ledger, *self.metadata}


@cache
def blocks_of(path: Path) -> Blocks:
    """Ask DuckDB which block holds what."""
    with duckdb.connect(path, read_only=True) as connection:
        metadata = connection.execute("select block_id from pragma_metadata_info()").fetchall()
        names = connection.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
        blocks: dict[str, set[int]] = {}
        for (name,) in names:
            segments = connection.execute(
                f"select block_id, additional_block_ids from pragma_storage_info({literal(name)})"
            ).fetchall()
            # -1: a segment of one constant, which lies in the metadata.
            blocks[name] = {one for block, more in segments for one in (block, *(more or ())) if one >= 0}
    ledger = blocks.pop("control.ledger")
    rows = set().union(*blocks.values()) - ledger
    return Blocks(tuple(sorted(rows)), tuple(sorted(ledger)), tuple(sorted({block for (block,) in metadata})))
