"""The page's stylesheet."""

from __future__ import annotations

from search.report.drawing.palette import css_variables

STYLESHEET = (
    css_variables()
    + """
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
main { max-width: 980px; margin: 0 auto; padding: 28px 16px 56px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0; overflow-wrap: anywhere; }
header p { margin: 4px 0 20px; color: var(--muted); }
h2 { font-size: 17px; margin: 0 0 12px; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin-top: 16px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 10px; }
.tiles div { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  padding: 12px 14px; color: var(--muted); font-size: 13px; line-height: 1.3; }
.tiles b { display: block; color: var(--ink); font-size: 24px; line-height: 1.25; }
figure { margin: 0; overflow-x: auto; }
figure svg { display: block; width: 100%; min-width: 540px; height: auto; }
svg text { font-family: inherit !important; }
[id*="points-"] :is(use, path):hover { stroke-width: 4px !important; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr));
  gap: 16px; }
.pair figure { max-width: 460px; }
.pair svg { min-width: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: right; font-weight: 500; color: var(--muted); font-size: 12px;
  padding: 0 10px 6px; white-space: nowrap; }
td { text-align: right; padding: 7px 10px; white-space: nowrap; border-top: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
.failures th:last-child, .failures td:last-child { text-align: left; width: 60%; }
.failures td:last-child { white-space: normal; overflow-wrap: anywhere; }
.front th:last-child, .front td:last-child { padding-right: 0; }
.results, .summary { font-size: 13px; }
.results td, .results th { padding-left: 7px; padding-right: 7px; }
.results td { line-height: 1.3; }
.results tr:last-child th:nth-child(2), .results td:nth-child(2) { text-align: left; }
.results tr:last-child th:nth-child(7), .results td:nth-child(7) { padding-left: 24px; }
.results .part { text-align: center; border-bottom: 1px solid var(--line); }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 3px;
  margin-right: 7px; }
.rank { font-weight: 700; color: var(--front); }
.best { color: var(--front); font-size: 11px; border: 1px solid; border-radius: 99px;
  padding: 0 7px; margin-left: 4px; }
.drawing td { border: 0; padding: 2px 0 12px; text-align: left; }
.architecture { display: block; width: 100%; }
.architecture text { font-size: 9px; fill: var(--muted); }
.architecture .operation { fill: var(--ink); font-weight: 600; }
small, .note { color: var(--muted); font-size: 12px; }
code { font-size: 12px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 12px 0 0;
  font-size: 14px; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
.nothing { color: var(--muted); margin: 0; }
@media (max-width: 600px) {
  section { padding: 14px 12px; }
  td, th { padding-left: 6px; padding-right: 6px; } }
@media print { section { break-inside: avoid; } }
"""
)
