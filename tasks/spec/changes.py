"""What differs between two pipeline files, key by key, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST = 60


@dataclass(frozen=True)
class Change:
    """Something that is not what it was: its name, and what became of it in words."""

    name: str
    text: str


def changed_keys(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """List what differs, in the order of the file as it is now; what is gone comes last.

    Args:
        before: a pipeline file as canonical JSON (`Spec.canonical`), or any other mapping of plain values.
        now: the other.
    """
    old, new = dict(leaves(before)), dict(leaves(now))
    came, gone = _entries(new) - _entries(old), _entries(old) - _entries(new)
    changed = [key for key in dict.fromkeys([*new, *old]) if old.get(key) != new.get(key)]
    texts: dict[str, str] = {}
    for key in changed:
        entry = _entry(key)
        # A retriever that came or went is one change, not one for each of its keys.
        if entry in came:
            texts[entry] = f"added{_settings(new, entry)}"
        elif entry in gone:
            texts[entry] = "removed"
        else:
            texts[key] = change_text(old.get(key), new.get(key))
    return [Change(name, text) for name, text in texts.items()]


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a pipeline file with their keys, such as `ranker.rounds` or `retrieval[als].k`.

    A list of plain values is one value. Entries of other lists are named by their `name`, or else their `type`, where
    that tells them apart, and else by number, so that a new retriever does not change the keys of those behind it.
    """
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from leaves(member, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and value and all(isinstance(member, Mapping) for member in value):
        names = [member.get("name") or member.get("type") for member in value]
        named = None not in names and len(set(map(str, names))) == len(names)
        for number, (name, member) in enumerate(zip(names, value, strict=True), 1):
            yield from leaves(member, f"{key}[{name if named else number}]")
    else:
        yield key, value


def change_text(before: Any, now: Any) -> str:
    """Say what became of a value: what a list gained and lost, and of anything else both values."""
    if not isinstance(before, list) or not isinstance(now, list):
        return f"{_shown(before)} → {_shown(now)}"
    gained, lost = ([each for each in ours if each not in theirs] for ours, theirs in ((now, before), (before, now)))
    parts = [f"{word} {_shown(each)}" for word, each in (("added", gained), ("removed", lost)) if each]
    return "; ".join(parts) or "in another order"


def _entry(key: str) -> str:
    """The entry of a list that a key belongs to, such as `retrieval[als]`; '' if it belongs to none."""
    return key[: key.rindex("]") + 1] if "]" in key else ""


def _entries(values: Mapping[str, Any]) -> set[str]:
    return {entry for key in values if (entry := _entry(key))}


def _settings(values: Mapping[str, Any], entry: str) -> str:
    own = {key.removeprefix(f"{entry}."): value for key, value in values.items() if key.startswith(f"{entry}.")}
    # What the entry is called stands before it already.
    called = [key for key in ("name", "type") if entry.endswith(f"[{own.get(key)}]")]
    texts = [f"{key} {_shown(value)}" for key, value in own.items() if key not in called and value is not None]
    return f": {', '.join(texts)}" if texts else ""


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
