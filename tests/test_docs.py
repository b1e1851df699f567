"""Prose that can drift: commands, files and links on pages exist, their YAML is valid, every key is documented."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from tasks.cli.main import app
from tasks.sources.datasets import Dataset
from tasks.sources.layout import Dialect
from tasks.spec.load import load_spec
from tasks.spec.spec import Spec, json_schema

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("expectations/*.md")])
FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>\w*)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.yaml"))
COMMANDS: Any = typer.main.get_command(app)


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def blocks(text: str, kind: str) -> list[str]:
    return [match["body"] for match in FENCE.finditer(text) if match["kind"] == kind]


def code(text: str) -> Iterator[str]:
    """Yield the code on a page: lines of shell blocks, and `…` in its prose."""
    for body in blocks(text, "sh"):
        yield from (line.split("  #")[0].strip() for line in body.splitlines())
    yield from re.findall(r"`([^`\n]+)`", FENCE.sub("", text))


def commands(text: str, program: str) -> Iterator[list[str]]:
    for line in code(text):
        for call in re.findall(rf"(?:^|\s|/){program} ([a-z][^;|)]*)", line):
            yield shlex.split(call.replace("…", "x").replace("<", "").replace(">", ""), comments=True)


def problem(words: list[str]) -> str | None:
    """Say what is wrong with a call of matinee; None if it exists."""
    command, known, options = COMMANDS, getattr(COMMANDS, "commands", {}), set[str]()
    while words and words[0] in known:
        command, words = known[words[0]], words[1:]
        known = getattr(command, "commands", {})
    if known:
        return f"no command {' '.join(words)!r}"
    if command.context_settings.get("ignore_unknown_options"):
        return None  # they are another program's
    for parameter in command.params:
        options |= {*parameter.opts, *parameter.secondary_opts}
    unknown = [word for word in words if word.startswith("-") and word not in {*options, "--help"}]
    return f"{command.name}: no option {unknown}" if unknown else None


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_the_commands_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    variables = {"PIPELINE", "DATA", "AS_OF", "DAYS", "PORT", "ARGS", "PYTHON"}

    wrong = [error for words in commands(text, "matinee") if (error := problem(words))]
    for words in commands(text, "make"):
        for word in words:
            name, _, value = word.partition("=")
            if name not in (variables if value else targets):
                wrong.append(f"make: no target or variable {name!r}")

    assert wrong == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "p", "--as-of", "x"], None),
        (["fly"], "no command 'fly'"),
        (["stack", "fly"], "no command 'fly'"),
        (["run", "p", "--as-off", "x"], "run: no option ['--as-off']"),
    ],
)
def test_a_command_that_does_not_exist_is_noticed(words: list[str], expected: str | None) -> None:
    assert problem(words) == expected


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_the_links_of_a_page_resolve(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text(encoding="utf-8"))):
        name, _, part = link.partition("#")
        if re.match(r"https?:", link):
            continue
        target = (page.parent / name) if name else page
        headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE) if part else []
        if not target.exists() or (part and part not in map(anchor, headings)):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_the_yaml_of_a_page_is_read_and_has_known_keys(page: Path) -> None:
    for body in blocks(page.read_text(encoding="utf-8"), "yaml"):
        value = yaml.safe_load(body)
        assert isinstance(value, dict)
        if "tables" in value:
            Dataset.model_validate(value)
        elif value.keys() == {"dialect"}:
            Dialect.model_validate(value["dialect"])
        else:
            assert value.keys() <= Spec.model_fields.keys()


def test_the_yaml_of_the_guide_is_that_of_the_files_it_shows() -> None:
    shown = [yaml.safe_load(b) for b in blocks((ROOT / "docs/bring-your-own-data.md").read_text("utf-8"), "yaml")]
    files = ["transforms/datasets/ml_latest_small.yaml", "docs/examples/movielens.yaml"]

    for name in files:
        assert yaml.safe_load((ROOT / name).read_text(encoding="utf-8")) in shown


@pytest.mark.parametrize("path", EXAMPLES, ids=names(EXAMPLES))
def test_an_example_is_a_valid_pipeline(path: Path) -> None:
    assert load_spec(path).name == path.stem


def test_the_pipeline_of_the_first_page_is_valid_once_completed(tmp_path: Path) -> None:
    (shown,) = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "yaml")
    whole = yaml.safe_load((ROOT / "pipelines" / "streaming.yaml").read_text(encoding="utf-8"))
    (tmp_path / "streaming.yaml").write_text(yaml.safe_dump({**whole, **yaml.safe_load(shown)}))

    assert load_spec(tmp_path / "streaming.yaml").name == "streaming"


def test_every_key_of_the_pipeline_file_is_documented() -> None:
    page = (ROOT / "docs" / "pipeline.md").read_text(encoding="utf-8")
    schema = json_schema()
    keys = {key for part in [schema, *schema["$defs"].values()] for key in part.get("properties", {})}

    assert {key for key in keys if f"| `{key}` |" not in page} == set()


def test_every_decision_and_runbook_is_listed() -> None:
    for folder in ("docs/adr", "docs/runbooks"):
        listed = (ROOT / folder / "README.md").read_text(encoding="utf-8")
        pages = {path.name for path in (ROOT / folder).glob("*.md")} - {"README.md"}
        assert {name for name in pages if f"({name})" not in listed} == set()


def test_decisions_are_short_and_say_what_would_change_them() -> None:
    for path in (ROOT / "docs" / "adr").glob("0*.md"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 40
        parts = ["**Context.**", "**Decision.**", "**Consequences.**", "**What would change our mind.**"]
        assert [part for part in parts if part not in text] == []


def section(page: str, heading: str) -> str:
    text = (ROOT / page).read_text(encoding="utf-8")
    return text.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def listed_folders(text: str) -> list[str]:
    """Folders in the first column of the tables of a text."""
    cells = re.findall(r"^\|((?: `\w+/`,?)+)", text, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)/`", cell)]


def test_the_first_page_lists_every_folder_and_every_room() -> None:
    folders, rooms = section("README.md", "The folders").split("The rooms of `tasks/`")
    code = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))}
    assert set(listed_folders(folders)) | {"var"} == code | {"var"}
    order = listed_folders(rooms)
    upwards = [room for layer in reversed(layers()) for room in sorted(layer, key=order.index)]
    assert order == upwards


def layers() -> list[list[str]]:
    """The rooms of `tasks`, from the top layer to the bottom one, as the import contract has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (contract,) = [one for one in contracts if one["name"] == "rooms have one direction"]
    rooms = [[name.strip().removeprefix("tasks.") for name in layer.split("|")] for layer in contract["layers"]]
    return [[room for room in layer if room != "errors"] for layer in rooms if layer != ["errors"]]


def test_the_architecture_has_the_rooms_in_their_order() -> None:
    cells = re.findall(
        r"^\| (`\w+`(?:, `\w+`)*) \|", section("docs/architecture.md", "The rooms of `tasks/`"), re.MULTILINE
    )
    assert [re.findall(r"`(\w+)`", cell) for cell in cells] == layers()


def test_the_files_to_open_for_a_change_exist() -> None:
    table = section("CONTRIBUTING.md", "Where to change what")
    named = [path for path in re.findall(r"`([\w/.]+)`", table) if "/" in path]
    assert len(named) > 30
    assert [path for path in named if not (ROOT / path).exists()] == []

    rooms = section("README.md", "The folders").split("The rooms of `tasks/`")[1]
    for room, row in re.findall(r"^\| `(\w+)/` \|(.*)$", rooms, re.MULTILINE):
        for name in re.findall(r"`([\w/]+\.py|\w+/)`", row):
            assert (ROOT / "tasks" / room / name).exists(), f"{room}/{name}"


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_the_modules_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:tasks|engine|dags|serving|bench|tests|transforms|expectations)/[\w/.]+)`", text)
    if page.name != "CHANGELOG.md":
        assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_pages_that_code_names_exist() -> None:
    sources = [
        path for folder in ("tasks", "engine", "dags", "serving", "bench") for path in (ROOT / folder).rglob("*.py")
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    named = set(re.findall(r"docs/[\w./-]+\.md", text)) | {
        f"docs/runbooks/{page}" for page in re.findall(r"[\"']([a-z]+(?:-[a-z]+)+\.md)[\"']", text)
    }
    decisions = {f"{number}-*.md" for number in re.findall(r"docs/adr/(\d{4})\b", text)}
    assert "docs/runbooks/check-failed.md" in named
    assert [page for page in sorted(named) if not (ROOT / page).exists()] == []
    assert [name for name in sorted(decisions) if not list((ROOT / "docs" / "adr").glob(name))] == []
