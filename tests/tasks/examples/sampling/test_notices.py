"""What a sample is said to lack."""

from __future__ import annotations

from typing import Any

from tasks.examples.sampling.draw import StratumDraw
from tasks.examples.sampling.notices import draw_notices
from tasks.spec.sample import Sample


def asked(**rest: Any) -> Sample:
    return Sample(strata=("region",), groups=100, **rest)


def of(region: str, groups: int, drawn: int, **rest: Any) -> StratumDraw:
    return StratumDraw(stratum={"region": region}, groups=groups, drawn=drawn, **rest)


def test_a_whole_sample_needs_no_words() -> None:
    assert draw_notices(asked(), [of("BR", 90, 90), of("SE", 20, 10)], {}) == []
    assert draw_notices(asked(cap=90), [of("BR", 90, 90), of("SE", 5, 5)], {}) == [], "there are no more"


def test_each_lack_is_named() -> None:
    spec = asked(floor=20, cap=60, overrides=[{"stratum": {"region": "XX"}, "groups": 5}])
    strata = [of("BR", 90, 60, promised=20), of("SE", 8, 8, promised=20), of("IN", 70, 0)]
    assert draw_notices(spec, strata, {"FR": 12}) == [
        "strata with fewer groups than their floor or override asks for, taken whole: SE (8 of 20)",
        "strata of which nothing was drawn, so that nothing is learned of them: IN (0 of 70)",
        "no group that can be drawn is in a stratum of `sample.overrides`: region 'XX'",
        "new strata, of which the windows to train on have no group, but the test window: FR (12)",
        "the caps leave 68 of the 100 groups asked for, and there are 168",
    ]


def test_a_stratum_that_an_override_leaves_out_is_meant_so() -> None:
    spec = asked(overrides=[{"stratum": {"region": "BR"}, "groups": 0}])
    assert draw_notices(spec, [of("BR", 90, 0, overridden=True), of("SE", 9, 9)], {}) == []


def test_of_many_strata_five_are_named() -> None:
    (notice,) = draw_notices(asked(), [of(f"r{n}", 3, 0) for n in range(8)], {})
    assert notice.endswith("r0 (0 of 3), r1 (0 of 3), r2 (0 of 3), r3 (0 of 3), r4 (0 of 3) and 3 more")
