from __future__ import annotations

from datetime import date
from typing import Any

from tasks.reports.version_pages import (
    LineageChange,
    Standing,
    champion_page,
    champion_periods,
    lineage_change,
    standings,
    version_page,
)
from tasks.store.files import Home, write_json
from tasks.store.registry import Alias, move_alias, version_dir, withdraw
from tasks.store.timeline import TimelineEvent
from tests.tasks.finished_runs import NASTY, Checker, plain, record
from tests.tasks.handmade import published


def event(day: int, version: str, **more: Any) -> TimelineEvent:
    return published(version, date(2026, 2, day), **{"live": True, **more})


def standing_of(*events: TimelineEvent, served: str) -> dict[str, Standing]:
    current = Alias(version=served, as_of=date(2026, 2, 28), content="0" * 64)
    return {entry.event.version: entry.standing for entry in standings(events, current)}


def test_what_became_of_each_version() -> None:
    versions = standing_of(
        event(1, "a"),
        event(3, "c"),
        event(2, "b", live=False),
        event(3, "d"),
        event(4, "e", live=False, withdrawn=True),
        served="d",
    )

    assert versions == {
        "a": Standing.WAS_LIVE,
        "b": Standing.NEVER_LIVE,
        "c": Standing.SUPERSEDED,
        "d": Standing.SERVED,
        "e": Standing.WITHDRAWN,
    }


def test_a_version_that_comes_last_again_stands_again() -> None:
    assert standing_of(event(1, "a"), event(1, "b"), event(1, "a"), served="a") == {
        "a": Standing.SERVED,
        "b": Standing.SUPERSEDED,
    }


def test_what_is_served_though_it_was_withdrawn_is_said() -> None:
    assert standing_of(event(1, "a"), event(1, "a", withdrawn=True, live=False), served="a") == {
        "a": Standing.SERVED_THOUGH_WITHDRAWN
    }


def test_champion_periods_last_to_the_next_champion() -> None:
    periods = champion_periods(standings([event(1, "a"), event(5, "b"), event(5, "c")], None))

    assert periods is not None
    assert [(span.name, span.box.width) for span in periods.spans] == [("a", 480.0), ("c", 120.0)]
    assert champion_periods([]) is None


DESCRIPTOR = {
    "as_of": "2026-02-02",
    "version": "b",
    "ranker": {"type": "ScoringRanker", "retrieve": {"type": "Union", "of": [{"type": "ALS", "k": 100}]}},
    "artifacts": {"trees.txt": {"bytes": 1200, "sha256": "ab" * 32}},
    "lineage": {
        "data": "d1",
        "code": "c2",
        "libraries": {"numpy": "2.4"},
        "run": "demo/2026-02-02",
        "spec": {"rounds": 200},
    },
    "evaluation": {
        "records": plain(
            [
                record("ndcg@10", "model", 0.5),
                record("ndcg@10", "history", 0.4),
                record("ndcg@10", "feature:item_trend", 0.2),
                record("ndcg@10", "feature:als_score", 0.45),
            ]
        ),
        "loss": "lambdarank with the gains of ndcg@10",
        "gates": [{"gate": "beats history", "passed": True, "detail": "+0.1"}],
        "figures_of": "the judged model",
        "window": ["2026-01-01", "2026-01-07"],
    },
}


def publish(home: Home, version: str, day: int, **change: Any) -> None:
    write_json(
        version_dir(home, "demo", version) / "descriptor.json", {**DESCRIPTOR, "as_of": f"2026-02-{day:02}", **change}
    )
    event = published(version, date(2026, 2, day), why="all gates passed", run=f"demo/2026-02-{day:02}")
    move_alias(home, "demo", event.model_copy(update={"metrics": {"ndcg@10": 0.5}}))


def test_a_version_says_what_it_was_made_from_and_what_is_new(home: Home) -> None:
    older = {**DESCRIPTOR["lineage"], "code": "c1", "libraries": {"numpy": "2.3"}, "spec": {"rounds": 100}}  # type: ignore[dict-item]
    publish(home, "a", 1, lineage=older)
    publish(home, "b", 2)

    page = version_page(home, "demo", "b", home.root / "pages" / "demo" / "versions" / "b.html")

    assert page is not None
    assert 'href="a.html"' in page
    assert "code, spec, libraries (numpy)" in page
    assert "<del>- &#34;rounds&#34;: 100" in page
    assert "<ins>+ &#34;rounds&#34;: 200" in page
    assert "ALS" in page
    assert "best feature: als_score, of 2 alone" in page
    assert page.index('<td class="name">als_score</td>') < page.index('<td class="name">item_trend</td>')
    assert "Loss: lambdarank with the gains of ndcg@10." in page
    assert 'href="../../../registry/demo/versions/b/descriptor.json"' in page


def test_nothing_new_and_nothing_before() -> None:
    assert lineage_change(None, DESCRIPTOR) is None
    assert lineage_change(DESCRIPTOR, DESCRIPTOR) == LineageChange((), (), ())


def test_the_timeline_leads_to_versions_and_reports(home: Home) -> None:
    publish(home, "a", 1)
    withdraw(home, "demo", published("a", date(2026, 2, 1), why="evaluated again", run="demo/1", metrics={}))
    publish(home, "b", 2)
    (home.run_dir("demo", date(2026, 2, 2), "a1") / "report").mkdir(parents=True)
    write_json(home.run_dir("demo", date(2026, 2, 2), "a1") / "report" / "result.json", {})
    (home.run_dir("demo", date(2026, 2, 2), "a1") / "report" / "report.html").write_text("")

    page = champion_page(home, "demo", home.root / "pages" / "demo" / "champion.html")

    assert "b is served, the champion as of 2026-02-02" in page
    assert 'href="versions/b.html"' in page
    assert 'href="../../runs/demo/2026-02-02/a1/report/report.html"' in page
    assert '<span class="tag bad">withdrawn</span>' in page
    assert '<span class="tag good">served now</span>' in page


def test_no_version_no_page_and_an_empty_timeline_says_so(home: Home) -> None:
    assert version_page(home, "demo", "nope", home.root / "x.html") is None
    assert "No version has been published yet" in champion_page(home, "demo", home.root / "x.html")


def test_the_pages_are_escaped_and_need_no_network(home: Home) -> None:
    nasty = {"data": NASTY, "code": NASTY, "libraries": {NASTY: NASTY}, "run": NASTY, "spec": {NASTY: NASTY}}
    publish(home, "a", 1)
    publish(home, "b", 2, lineage=nasty, ranker={"type": NASTY, NASTY: [NASTY]})

    for page in (
        version_page(home, "demo", "b", home.root / "x.html"),
        champion_page(home, "demo", home.root / "x.html"),
    ):
        checker = Checker()
        assert page is not None
        checker.feed(page)
        assert (checker.fetched, checker.open) == ([], [])
        assert NASTY not in page
        assert "://" not in page
