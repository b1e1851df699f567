"""Bad input ends in a clear message and an exit code, or in the quarantine; never in a traceback or partial state.

Each kind of bad input goes through the command line here; the details of a kind are tested beside its module:

    unknown key, feature, metric, stratum       test_a_wrong_pipeline_file (every rule: spec/test_references.py)
    overlapping windows, malformed predicate    test_a_wrong_pipeline_file (also spec/test_conditions.py)
    missing data folder                         test_a_missing_data_folder
    malformed CSV: wrong columns, binary
      rubbish, empty file                       test_a_file_that_is_another_one (also sources/test_csv_files.py)
    malformed CSV: bad dates, unbalanced quote  test_lines_that_cannot_be_read_are_kept_aside
    malformed CSV: header only                  test_a_header_alone_is_a_day_without_rows
    truncated parquet in the landing            test_a_truncated_partition, test_a_damaged_partition
    (a damaged warehouse, an unusable home      test_a_damaged_warehouse, test_a_home_that_is_no_folder)
    a day with no rows                          test_a_day_without_rows_is_run_like_any_other
    a population with too few rows              test_a_population_with_too_few_groups
    a single-class label                        test_a_single_class_label (also tests/tasks/training/test_train.py)
    disk full while publishing                  test_a_full_disk_while_publishing, test_a_full_disk_at_the_alias
    a killed step, run again                    test_a_killed_build, test_a_killed_landing (also
                                                tests/tasks/store/test_registry.py: between the timeline and the alias)
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tasks.checks.verdicts import CheckResult
from tasks.examples.sample import SampleResult
from tasks.publishing.results import PublishResult
from tasks.sources.land import LandResult
from tasks.spec.project import TOOL
from tasks.store import registry
from tasks.store.files import Home, read_json
from tasks.store.timeline import timeline
from tests.tiny_pipelines import BOUGHT, BOUGHT_DAY, HEADER, SHOWN, Tiny, in_process, pipeline_file, shop, tree

pytestmark = in_process
BAD = TOOL / "tests" / "pipelines" / "bad"
DAY = "2011-02-01"


@dataclass(frozen=True)
class Said:
    """What a command ended with."""

    code: int
    out: str
    err: str


Cli = Callable[..., Said]


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Return a function that runs `matinee …` in this process."""
    from tasks.cli.main import main

    def run(home: Path, *args: str | Path) -> Said:
        monkeypatch.setenv("MATINEE_HOME", str(home))
        monkeypatch.setattr(sys, "argv", ["matinee", *map(str, args)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        # Without the log of the step, whose lines begin with the time of day.
        said = "".join(line for line in err.splitlines(keepends=True) if not re.match(r"\d\d:\d\d:\d\dZ ", line))
        return Said(int(ended.value.code or 0), out, said)

    return run


def step(tiny: Tiny, name: str, *more: str) -> list[str]:
    """Arguments of a step of a tiny pipeline's day; `1` is the attempt that has been run."""
    data = ["--data", str(tiny.data)] if tiny.data and name in {"land", "run"} else []
    return [name, str(tiny.file), "--as-of", str(tiny.as_of), "--attempt", "1", *data, *more]


@pytest.mark.parametrize("command", ["validate", "run"])
@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("unknown_top_key", r"unknown_top_key.yaml:18: unknown key 'population'; .*did you mean 'populations'"),
        (
            "unknown_feature",
            r"unknown_feature.yaml:16: features.1: unknown feature 'user_tenure_dys'; .*did you mean 'user_",
        ),
        ("unknown_metric", r"unknown_metric.yaml:\d+: evaluate.metrics.\d: .* is no metric: expected one of "),
        ("unknown_stratum", r"unknown_stratum.yaml:\d+: sample.strata.\d: unknown stratum '\w+'; expected one of "),
        ("overlapping_windows", r"overlapping_windows.yaml:\d+: examples.test: overlapping windows: 20d hold several"),
        (
            "malformed_predicate",
            r"malformed_predicate.yaml:12: label.grades.1.when: found \"kind = = 'list_add'\", which is",
        ),
    ],
)
def test_a_wrong_pipeline_file(command: str, file: str, message: str, tmp_path: Path, cli: Cli) -> None:
    day = ["--as-of", "2026-02-01"] if command == "run" else []
    said = cli(tmp_path, command, BAD / f"{file}.yaml", *day)
    assert said.code == 2
    assert said.err.startswith("matinee: SpecError\n")
    assert re.search(message, said.err), said.err
    assert list(tmp_path.iterdir()) == []  # nothing was touched


def a_shop(tmp_path: Path) -> Tiny:
    return Tiny(pipeline_file(tmp_path, BOUGHT), BOUGHT_DAY, tmp_path / "home", shop(tmp_path / "shop"))


def landed(tiny: Tiny) -> dict[str, bytes]:
    """The landed files; manifests say when, so they are left out."""
    return {name: content for name, content in tree(tiny.home / "landing").items() if name.endswith(".parquet")}


def test_an_empty_user_id(tmp_path: Path, cli: Cli) -> None:
    said = cli(tmp_path, "rank", "streaming", "--user", "")
    assert said.code == 2
    assert "found an empty id, expected one of the user ids" in " ".join(said.err.split())


def test_a_missing_data_folder(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = a_shop(tmp_path)
    shutil.rmtree(tmp_path / "shop")
    said = cli(tiny.home, *step(tiny, "run"))
    assert said.code == 2  # a wrong argument
    assert not tiny.home.exists()

    monkeypatch.setenv("MATINEE_DATA_ONLINE_RETAIL", str(tmp_path / "shop"))
    said = cli(tiny.home, *step(replace(tiny, data=None), "run"))
    assert said.code == 1
    assert said.err == (
        f"matinee: SourceError\n{tmp_path / 'shop'}: no such folder; expected the files of online_retail ({{ds}}.csv); "
        "give the folder with --data or MATINEE_DATA_ONLINE_RETAIL\n"
    )
    kept = tiny.home / "runs" / "bought" / str(tiny.as_of) / "1"
    assert (kept / "errors" / "land.txt").read_text() == said.err.partition("\n")[2]
    assert "no such folder" in (kept / "report" / "report.html").read_text()
    assert not list(tiny.home.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            HEADER.replace(",Country", "").encode() + b"\n1,20001,X,1,2011-02-01 10:00:00,1.0,12001\n",
            f"line 1 is not the header '{HEADER}' (missing: Country); correct the file, or its declaration",
        ),
        (bytes(range(256)) * 40, "not UTF-8 text: byte 0x00 at column 1 of line 1"),
        (b"", f"the file is empty (0 bytes); expected at least the header {HEADER}"),
    ],
    ids=["wrong columns", "binary rubbish", "empty file"],
)
def test_a_file_that_is_another_one(content: bytes, message: str, tmp_path: Path, bought: Tiny, cli: Cli) -> None:
    tiny = a_shop(tmp_path)
    file = tmp_path / "shop" / f"{DAY}.csv"
    good = file.read_bytes()
    file.write_bytes(content)

    said = cli(tiny.home, *step(tiny, "land"))

    assert said.code == 1
    assert said.err.startswith(f"matinee: SourceError\n{file}")
    assert message in said.err
    assert not list(tiny.home.rglob(f"ds={DAY}/*.parquet"))
    file.write_bytes(good)
    assert cli(tiny.home, *step(tiny, "land")).code == 0
    assert landed(tiny) == landed(bought)


def test_lines_that_cannot_be_read_are_kept_aside(tmp_path: Path, cli: Cli) -> None:
    tiny = a_shop(tmp_path)
    file = tmp_path / "shop" / f"{DAY}.csv"
    good = file.read_text().splitlines()
    bad = ["1,20001,X,1,31/02/2011 10:00,1.0,12001,France", '2,20001,"X,1,2011-02-01 10:00:00,1.0,12001,France']
    file.write_text("\n".join([*good[:3], *bad, *good[3:], ""]))

    said = cli(tiny.home, *step(tiny, "land"))

    assert said.code == 0
    (kept,) = tiny.home.rglob(f"_rejects/ds={DAY}/*.parquet")
    rejects = pq.read_table(kept).to_pylist()
    assert [(row["table_name"], row["line"], row["column_name"], row["raw"]) for row in rejects] == [
        ("lines", 4, "InvoiceDate" if rejects[0]["column_name"] == "InvoiceDate" else "invoice_date", bad[0]),
        ("lines", 5, None, bad[1]),
    ]
    assert rejects[1]["error"] == "A quoted field is not closed, or text stands beside its quotes."
    (rows,) = tiny.home.rglob(f"lines/ds={DAY}/*.parquet")
    assert pq.read_table(rows).num_rows == len(good) - 1
    result = read_json(tiny.home / "runs" / "bought" / str(tiny.as_of) / "1" / "land" / "result.json")
    assert result["rejects"] == 2


def test_a_header_alone_is_a_day_without_rows(tmp_path: Path, cli: Cli) -> None:
    tiny = a_shop(tmp_path)
    (tmp_path / "shop" / f"{DAY}.csv").write_text(f"{HEADER}\n")
    assert cli(tiny.home, *step(tiny, "land")).code == 0
    (rows,) = tiny.home.rglob(f"lines/ds={DAY}/*.parquet")
    assert pq.read_table(rows).num_rows == 0


def partition(tiny: Tiny, day: str) -> Path:
    (path,) = tiny.home.rglob(f"lines/ds={day}/*.parquet")
    return path


@pytest.mark.parametrize("command", ["check", "build", "retrieve"])
def test_a_truncated_partition(command: str, bought: Tiny, tmp_path: Path, cli: Cli) -> None:
    tiny = bought.copied(tmp_path / "home")
    path = partition(tiny, "2011-03-04")
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    more = ["--what", "landed"] if command == "check" else []

    said = cli(tiny.home, *step(tiny, command, *more))

    assert said.code == 1
    assert said.err == (
        f"matinee: LandingError\n{path}: found 200 bytes, expected {len(whole)}: truncated; delete {path.name} and "
        "run `matinee land` again: it is made anew from the source\n"
    )
    assert cli(tiny.home, *step(tiny, "land")).code == 0
    assert path.read_bytes() == whole
    assert tiny.versions == bought.versions


def test_a_damaged_partition(bought: Tiny, tmp_path: Path, cli: Cli) -> None:
    """The size is right, the bytes are not; the SQL build is the first to read it."""
    tiny = bought.copied(tmp_path / "home")
    path = partition(tiny, DAY)
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(len(whole) - 8) + whole[-4:])
    shutil.rmtree(tiny.home / "warehouse")

    said = cli(tiny.home, *step(tiny, "build"))

    assert said.code == 1
    assert path.name in said.err
    path.unlink()
    assert cli(tiny.home, *step(tiny, "land")).code == 0
    assert cli(tiny.home, *step(tiny, "build")).code == 0
    assert path.read_bytes() == whole


@pytest.mark.parametrize("command", ["build", "retrieve"])
def test_a_damaged_warehouse(command: str, bought: Tiny, tmp_path: Path, cli: Cli) -> None:
    tiny = bought.copied(tmp_path / "home")
    path = tiny.home / "warehouse" / "bought.duckdb"
    path.write_bytes(b"garbage" * 3000)
    shutil.rmtree(tiny.home / "retrieval")

    said = cli(tiny.home, *step(tiny, command))

    assert said.code == 1
    assert said.err.startswith(f"matinee: BuildError\n{path}: cannot be opened (")
    assert "delete it, it is only a cache, and run the step `build` again" in said.err


def test_a_home_that_is_no_folder(tmp_path: Path, cli: Cli) -> None:
    """The report cannot be written either; the first failure is the one that is reported."""
    tiny = a_shop(tmp_path)
    tiny.home.write_text("a file")
    said = cli(tiny.home, *step(tiny, "run"))
    assert said.code == 1
    assert "bought 2011-03-05, step land: " in said.err
    assert "Not a directory" in said.err


def test_a_day_without_rows_is_run_like_any_other(bought: Tiny) -> None:
    """The tiny shop's day is a Saturday: closed."""
    assert bought.as_of.weekday() == 5
    run = bought.prepared()
    assert run.read("land", LandResult).rows_of_day == {"lines": 0, "_rejects": 0}
    assert run.read("check_landed", CheckResult).failed_critical == 0
    assert run.read("publish", PublishResult).alias_moved is True


def test_a_population_with_too_few_groups(shown: Tiny) -> None:
    """Small regions are served by the model of everybody else."""
    from engine.descriptor import Request
    from engine.ranking import load
    from tasks.store.registry import version_dir

    run = shown.prepared()
    counts = run.read("sample", SampleResult).populations
    engine = load(version_dir(run.home, "shown", run.read("publish", PublishResult).version))
    large = {region for region, groups in counts.items() if groups >= SHOWN["populations"]["min_groups"]}
    assert large
    assert counts.keys() - large
    assert engine.descriptor.rankers.keys() == large | {"*"}
    users = pq.read_table(
        run.step_dir("sample") / "serving" / "user.parquet", columns=["user_id", "region"]
    ).to_pylist()
    answers = engine.rank([Request(user_id=user["user_id"], k=5) for user in users])
    for user, answer in zip(users, answers, strict=True):
        assert answer.population == (user["region"] if user["region"] in large else "*")
        assert len(answer.items) == 5


@pytest.mark.slow
def test_a_single_class_label(shown: Tiny, tmp_path: Path, cli: Cli) -> None:
    rules = [{"grade": 1, "when": "kind = 'play' and value > 2"}]
    file = pipeline_file(tmp_path, SHOWN, label={**SHOWN["label"], "grades": rules})
    tiny = Tiny(file, shown.as_of, tmp_path / "home")
    shutil.copytree(shown.home / "landing", tiny.home / "landing")

    said = cli(tiny.home, *step(tiny, "run"))

    assert said.code == 1
    assert said.err.endswith(  # before it, a warning of rejected rows
        "matinee: TrainingError\nshown 2026-01-18: none of the candidates of the cuts 2026-01-10 to 2026-01-13 has a "
        "grade above 0, so there is nothing to learn. The rules are: grade 1 when kind = 'play' and value > 2. Look "
        "at `label` in the pipeline file and at the kinds and values in the table `interactions`.\n"
    )
    run = tiny.prepared()
    assert not run.step_dir("sample").exists()
    assert not tiny.versions
    assert "nothing to learn" in (run.step_dir("report") / "report.html").read_text()


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def unpublished(bought: Tiny, folder: Path) -> Tiny:
    """A copy in which everything but the last step has been done."""
    tiny = bought.copied(folder / "home")
    shutil.rmtree(tiny.home / "registry")
    shutil.rmtree(tiny.prepared().step_dir("publish"))
    return tiny


@pytest.mark.parametrize("call", [1, 3])
def test_a_full_disk_while_publishing(
    call: int, bought: Tiny, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny, calls, copyfile = unpublished(bought, tmp_path), [], shutil.copyfile

    def copy(*args: Any, **more: Any) -> Any:
        calls.append(args)
        return full() if len(calls) == call else copyfile(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", copy)
        said = cli(tiny.home, *step(tiny, "publish"))

    assert said.code == 1
    assert said.err.startswith("matinee: RegistryError\n")
    assert "(No space left on device); nothing was published and the alias has not moved. Free some space" in said.err
    assert tree(tiny.home / "registry") == {}
    assert not tiny.prepared().step_dir("publish").exists()
    assert cli(tiny.home, *step(tiny, "publish")).code == 0
    assert tiny.versions == bought.versions
    assert not (tiny.prepared().dir / "errors" / "publish.txt").exists()


def test_a_full_disk_at_the_alias(bought: Tiny, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version is complete but no alias points to it; the next try moves the alias."""
    tiny = unpublished(bought, tmp_path)
    home = Home(tiny.home)
    with monkeypatch.context() as patch:
        patch.setattr(registry.Alias, "write", full)
        said = cli(tiny.home, *step(tiny, "publish"))
    assert said.code == 1
    assert "bought 2011-03-05, step publish: No space left on device. No partial output was left behind." in said.err
    assert tiny.versions == bought.versions
    assert registry.alias(home, "bought", "champion") is None

    assert cli(tiny.home, *step(tiny, "publish")).code == 0
    champion = registry.alias(home, "bought", "champion")
    assert champion is not None
    assert [champion.version] == list(tiny.versions)
    assert len(timeline(home, "bought")) == 1


def killed(tiny: Tiny, command: str, begun: Callable[[], bool]) -> None:
    """Start a step in a process of its own and kill it as soon as it has begun."""
    environment = {**os.environ, "MATINEE_HOME": str(tiny.home), "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tasks.cli", *step(tiny, command)],
        cwd=TOOL, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not begun():
            assert process.poll() is None, "the step ended before it could be killed"
            assert time.monotonic() < deadline, "the step did not begin"
            time.sleep(0.002)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_a_killed_build(bought: Tiny, tmp_path: Path, cli: Cli) -> None:
    tiny = bought.copied(tmp_path / "home")
    for name in ("warehouse", "retrieval", "registry", "dbt", "runs"):
        shutil.rmtree(tiny.home / name)
    log = tiny.home / "dbt" / "bought" / "logs" / "dbt.log"
    killed(tiny, "build", lambda: log.exists() and b"OK created sql incremental model" in log.read_bytes())
    assert not tiny.prepared().step_dir("build").exists()

    said = cli(tiny.home, *step(tiny, "run"))

    assert said.code == 0
    assert tiny.versions == bought.versions


def test_a_killed_landing(bought: Tiny, tmp_path: Path, cli: Cli) -> None:
    tiny = bought.elsewhere(tmp_path / "home")
    killed(tiny, "land", lambda: len(list(tiny.home.rglob("manifest.json"))) > 10)
    assert len(list(tiny.home.rglob("manifest.json"))) < len(list(bought.home.rglob("landing/**/manifest.json")))

    assert cli(tiny.home, *step(tiny, "land")).code == 0

    assert {n: c for n, c in landed(tiny).items() if not Path(n).name.startswith(".")} == landed(bought)
