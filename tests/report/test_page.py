"""The page: valid, complete, and harmless whatever stands in a record."""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import html5lib
import pytest

from seqrl.report.page import page, sources
from seqrl.report.style import DARK, LIGHT
from seqrl.report.summary import summary_of
from seqrl.runs.record import RunRecord
from tests.report.test_blocks import OTHER, made
from tests.report.test_html import HOSTILE
from tests.runs.recorded import TASK, evaluated, recorded

SCORES = {
    "BC": {TASK: [1.0, 2, 3, 4, 5], OTHER: [5.0, 6, 7, 8, 9]},
    "DT": {TASK: [11.0, 12, 13, 14, 15], OTHER: [5.0, 1, 2, 3, 4]},
}


def parsed(records: list[RunRecord], **more: Any) -> Any:
    """Read a page as strictly as the standard says: the first error is raised."""
    text = page(summary_of(records, **more))
    strict = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return strict.parse(text)


def text_of(element: Any) -> str:
    return "".join(element.itertext())


def several() -> list[RunRecord]:
    asking = evaluated([[10, 20], [30, 50]], name="asks", facts={"target_return": 70.0})
    failed = recorded(seed=4, name="fails", error="Traceback:\n  <b>ValueError</b>: no & no")
    return [*made(SCORES), asking, failed]


def test_it_is_valid_and_complete() -> None:
    """A browser repairs much in silence, each one differently."""
    document = parsed(several())
    assert text_of(document.find(".//title")) == f"Scores on {TASK}, {OTHER}"
    text = text_of(document.find(".//body"))
    for said in (
        "Nothing here was verified on official D4RL data.",
        "95% intervals of these means",
        "Probability of improvement",
        "Published by others",
        "Performance profiles",
        "<b>ValueError</b>: no & no",
        "fails, seed 4: failed",
        "asks, seed 0: score 20.0",
    ):
        assert said in text, said
    runs = [one for one in document.iter("details") if one.get("id", "").startswith("run-")]
    assert len(runs) == len(several())
    names = [one.get("id") for one in document.iter() if one.get("id")]
    assert len(names) == len(set(names)), "a link would lead to the first of two"
    for link in document.iter("a"):
        assert link.get("href")[0] == "#" and link.get("href")[1:] in names


def test_tables_and_headings_can_be_followed_by_ear() -> None:
    """A screen reader says a cell's row and column only if they are marked as such."""
    document = parsed(several())
    assert document.get("lang") == "en"
    levels = [int(one.tag[1]) for one in document.iter() if re.fullmatch("h[1-6]", str(one.tag))]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for table in document.iter("table"):
        assert table.find("caption") is not None
        assert all(cell.get("scope") for cell in table.iter("th"))
    regions = [one.get("aria-label") for one in document.iter("section")]
    assert len({*filter(None, regions)}) == len(regions) > 1, "each is told by its name"
    for drawing in document.iter("{http://www.w3.org/2000/svg}svg"):
        assert drawing.get("role") == "img" or drawing.get("aria-hidden") == "true"


def hostile(plain: Any) -> Any:
    """Put markup into every text of plain data."""
    if isinstance(plain, str):
        return HOSTILE
    if isinstance(plain, Mapping):
        return {HOSTILE if key == "agent_name" else key: hostile(v) for key, v in plain.items()}
    return plain


def test_no_record_can_run_or_load_anything() -> None:
    """Somebody sends you results; their agent is called <script>alert(1)</script>."""
    record = evaluated([[1, 2], [3, 4]], name=HOSTILE, facts={"target_return": 3.0, "x": HOSTILE})
    record = replace(
        record,
        changed=[HOSTILE],
        machine=hostile(record.machine),
        agent={**record.agent, "is": f"x:{HOSTILE}", HOSTILE: HOSTILE},
        experiment=HOSTILE,
        data={**record.data, "chosen_because": HOSTILE},
        task={**record.task, "name": f"seqrl/{HOSTILE}"},
    )
    failed = recorded(seed=9, name=f"{HOSTILE} too", error=HOSTILE, task=f"seqrl/{HOSTILE}")
    document = parsed([record, replace(failed, agent=record.agent)])
    known = {"html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "nav",
             "ul", "li", "a", "div", "section", "table", "caption", "thead", "tbody", "tr", "th",
             "td", "figure", "figcaption", "strong", "details", "summary", "dl", "dt", "dd", "pre",
             "svg", "desc", "g", "rect", "path", "line", "polyline", "text", "circle",
             "wbr"}  # fmt: skip
    for element in document.iter():
        name = str(element.tag).rpartition("}")[2]
        assert name in known, name
        for attribute, value in element.items():
            assert not str(attribute).startswith("on") and attribute not in ("src", "style")
            assert attribute != "href" or value.startswith("#")
    assert "<script>alert(1)</script>" in text_of(document.find(".//body")), "it is shown"


def test_the_browser_is_told_to_load_nothing() -> None:
    """Should a text ever get through, the policy stops it."""
    (policy,) = [
        one.get("content")
        for one in parsed([recorded([1])]).iter("meta")
        if one.get("http-equiv") == "Content-Security-Policy"
    ]
    assert "default-src 'none'" in policy and "script-src" not in policy
    assert "unsafe" not in policy


def test_equal_records_make_equal_pages() -> None:
    """It is committed, and compared byte for byte."""
    records = several()
    expected = page(summary_of(records))
    random.Random(0).shuffle(records)
    assert page(summary_of(records)) == expected


def test_it_says_what_is_not_d4rl() -> None:
    """A page travels without its README."""
    assert sources(["d4rl/hopper-medium-v2"]) == ["Official D4RL data: d4rl/hopper-medium-v2."]
    first, second = sources(["seqrl/hopper-medium-v1"])
    assert "Nothing here was verified" in first and "Not D4RL data" in second


def _light(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _pairs() -> Iterator[tuple[Mapping[str, str], str, str, float]]:
    for palette in (LIGHT, DARK):
        for ground in ("paper", "field"):
            for ink in ("text", "soft", "link", "bad"):
                yield palette, ink, ground, 4.5
        for number in range(6):
            yield palette, f"c{number}", "paper", 3.0


@pytest.mark.parametrize(("palette", "ink", "ground", "least"), [*_pairs()])
def test_colours_stand_out(palette: Mapping[str, str], ink: str, ground: str, least: float) -> None:
    """Grey on grey is legible on the designer's screen only."""
    bright, dark = sorted((_light(palette[ink]), _light(palette[ground])), reverse=True)
    assert (bright + 0.05) / (dark + 0.05) >= least, (ink, ground)
