"""How the page looks: its colours, light and dark, and its style sheet."""

from collections.abc import Mapping

LIGHT: Mapping[str, str] = {
    "paper": "#ffffff", "text": "#1b1f24", "soft": "#565d66", "line": "#d5d9de", "field": "#f4f5f7",
    "link": "#0a5cad", "bad": "#b3261e",
    "c0": "#00337a", "c1": "#d97514", "c2": "#3f9d72", "c3": "#9a86bd", "c4": "#6c3500",
    "c5": "#1a1a1a",
}  # fmt: skip
DARK: Mapping[str, str] = {
    "paper": "#14171c", "text": "#e6e8eb", "soft": "#a3abb5", "line": "#363c45", "field": "#1d2128",
    "link": "#7db8f5", "bad": "#ff8a80",
    "c0": "#4f83dd", "c1": "#d2440f", "c2": "#5effa1", "c3": "#b0557a", "c4": "#fccc06",
    "c5": "#d4e9ff",
}  # fmt: skip
"""c0 to c5 are of what is compared: whoever sees no red, green or blue can tell them apart."""


def _properties(colours: Mapping[str, str]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in colours.items())


COLOURED = "".join(
    f".{name}{{color:var(--{name})}}" for name in LIGHT if name[0] == "c" and name[1:].isdigit()
)

SHEET = f""":root{{color-scheme:light dark;{_properties(LIGHT)}}}
@media screen and (prefers-color-scheme:dark){{:root{{{_properties(DARK)}}}}}
{COLOURED}
*{{box-sizing:border-box}}
html{{-webkit-text-size-adjust:100%;text-size-adjust:100%}}
body{{margin:0 auto;max-width:76rem;padding:1rem 1rem 4rem;background:var(--paper);
color:var(--text);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}}
h1{{font-size:1.5rem;line-height:1.25;margin:.5rem 0 1rem}}
h2{{font-size:1.25rem;margin:2.5rem 0 .75rem}}
h3{{font-size:1rem;margin:1.5rem 0 .5rem}}
p,ul{{margin:.5rem 0;max-width:48rem}}
a{{color:var(--link)}}
:focus-visible{{outline:3px solid var(--link);outline-offset:2px}}
nav ul{{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem}}
.note,caption,figcaption{{color:var(--soft);font-size:.875rem}}
.bad{{color:var(--bad);font-weight:600}}
.scroll{{overflow-x:auto;max-width:100%;margin:.5rem 0 1rem}}
table{{border-collapse:collapse;font-variant-numeric:tabular-nums}}
caption{{text-align:left;padding:.25rem 0;caption-side:top;max-width:calc(100vw - 4rem)}}
caption h3{{color:var(--text);margin:0}}
th,td{{padding:.3rem 0 .3rem 1.25rem;border-bottom:1px solid var(--line);text-align:right;
vertical-align:top;white-space:nowrap;overflow-wrap:normal}}
th:first-child,td:first-child{{text-align:left;padding-left:0}}
tr>:first-child{{position:sticky;left:0;background:var(--paper);white-space:normal;
min-width:8rem;max-width:40vw;overflow-wrap:break-word}}
thead th{{vertical-align:bottom;white-space:normal;text-wrap:balance}}
@media (max-width:30rem){{th,td{{padding-left:.75rem}}tr>:first-child{{min-width:4.5rem}}}}
.charts{{display:grid;gap:1.5rem 2rem;
grid-template-columns:repeat(auto-fill,minmax(min(340px,100%),1fr))}}
figure{{margin:0;min-width:0}}
figcaption strong{{display:block;color:var(--text)}}
svg{{display:block;max-width:100%;height:auto}}
svg text{{font-size:12px;fill:var(--soft)}}
svg text.name{{font-size:13px;fill:var(--text)}}
.grid{{stroke:var(--line);fill:none}}
.bar{{fill:currentColor;fill-opacity:.35}}
.marks{{fill:currentColor;stroke:var(--paper);stroke-width:.6}}
.line{{fill:none;stroke:currentColor;stroke-width:1.6;stroke-opacity:.75}}
.thin{{stroke-width:.8;stroke-opacity:.55}}
.mark{{stroke:var(--soft);stroke-width:1.4;stroke-dasharray:5 4}}
.legend{{list-style:none;padding:0;margin:.25rem 0 1rem;display:flex;flex-wrap:wrap;gap:.25rem 1rem;
max-width:none}}
.legend li{{display:flex;gap:.35rem;align-items:center}}
.swatch{{flex:none}}
.strip{{display:inline-block;vertical-align:middle;stroke:var(--soft);background:var(--field)}}
details{{border-bottom:1px solid var(--line)}}
summary{{padding:.45rem 0;cursor:pointer}}
details details{{border:0}}
.inside{{padding:0 0 1rem 1rem}}
dl{{display:grid;grid-template-columns:fit-content(45%) minmax(0,1fr);gap:.1rem 1rem;
margin:.25rem 0;font-size:.875rem}}
dt{{color:var(--soft)}}
dd{{margin:0}}
pre{{background:var(--field);padding:.75rem;overflow-x:auto;font-size:.8125rem;white-space:pre-wrap}}
.returns{{font-size:.8125rem;font-variant-numeric:tabular-nums;max-width:none}}
@media print{{body{{padding:0;max-width:none;font-size:10pt}}nav{{display:none}}
.scroll{{overflow:visible}}th,td{{white-space:normal}}
figure,tr,summary{{break-inside:avoid}}h2,h3{{break-after:avoid}}
.bar,.marks,.strip{{print-color-adjust:exact;-webkit-print-color-adjust:exact}}}}
"""
