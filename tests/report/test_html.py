"""Text that comes from anybody stays text, whatever it looks like."""

import html
import random

import html5lib
import pytest

from seqrl.report.html import Markup, each, escaped, tag, together

HOSTILE = "<script>alert(1)</script>\"'&amp;</style>--><!--<img src=x onerror=alert(1)>]]>"


def test_text_comes_back_as_it_was() -> None:
    """What is escaped once too often or too seldom is not what stood in the record."""
    letters = "<>&\"'=/ abc\n\tü€𝄞;#x"
    generator = random.Random(0)
    for _ in range(300):
        text = "".join(generator.choices(letters, k=12))
        assert html.unescape(escaped(text)) == text
        document = html5lib.parse(
            "<!DOCTYPE html>" + tag("p", text, title=text).source, namespaceHTMLElements=False
        )
        found = document.find(".//p")
        assert found.get("title") == text and "".join(found.itertext()) == text


@pytest.mark.parametrize("text", ["\x00", "\x1b[31m", "\ud800", "\u202e", "\ufffe", "\U0001ffff"])
def test_what_no_page_can_hold_is_shown(text: str) -> None:
    """A lone surrogate ends the writing of the file, a control character makes it invalid."""
    made = escaped(f"a{text}b")
    made.encode()
    assert made.startswith("a\\") and text not in made


def test_only_markup_is_markup() -> None:
    """An element is put in as it is, a text that looks like one is not."""
    inner = tag("b", "x")
    assert tag("p", inner, "<b>").source == "<p><b>x</b>&lt;b&gt;</p>"
    assert together("<", Markup("<br>")).source == "&lt;<br>"
    assert each("td", ["1", "<b>", "2"]).source == "<td>1</td><td>&lt;b&gt;</td><td>2</td>"
    assert each("td", ["1", "2"]).source == "<td>1</td><td>2</td>"
    assert tag("td", "1", class_="x", aria_label=HOSTILE, id=None).source.count('"') == 4
