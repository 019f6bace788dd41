"""How the page looks: on a screen of any width, by day and by night, and on paper.

Every pair of text and ground has a contrast of at least 4.5 : 1 (WCAG 2.2, 1.4.3), every line and shape that means
something one of 3 : 1 (1.4.11). Colours repeat what words and patterns say, and say nothing alone.
"""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --card: #f5f7fa; --text: #1b2430; --soft: #51606f; --line: #7c8a99; --hair: #d5dce4;
  --accent: #0b5cad; --error: #b3261e; --warning: #8a5300; --info: #0b5cad; --good: #1c6e3c;
  --error-ground: #fdeceb; --warning-ground: #fdf3e0; --info-ground: #e9f2fc; --good-ground: #e8f5ec;
  --data: #0b5cad; --zero: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12171d; --card: #1b222b; --text: #e6ebf1; --soft: #a9b6c3; --line: #76879a; --hair: #323d49;
    --accent: #84bdf7; --error: #ff9b93; --warning: #f3bd63; --info: #84bdf7; --good: #7fd39b;
    --error-ground: #3a1b1a; --warning-ground: #362810; --info-ground: #16293d; --good-ground: #15301f;
    --data: #84bdf7; --zero: #12171d;
  }
}
* { box-sizing: border-box; }
html { background: var(--ground); color: var(--text); font: 100%/1.55 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 62rem; padding: 0 1.25rem 3rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 1.75rem 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem; padding-bottom: .3rem; border-bottom: 1px solid var(--hair); }
h3 { font-size: 1rem; margin: 0 0 .4rem; }
p { margin: .35rem 0; }
ul { margin: .35rem 0; padding-left: 1.25rem; }
code { font: .875em/1.5 ui-monospace, monospace; }
.soft { color: var(--soft); }
.skip { position: absolute; left: -100vw; }
.skip:focus { position: static; display: inline-block; margin-top: 1rem; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }

.verdict { border: 2px solid; border-radius: .5rem; padding: .8rem 1rem; }
.verdict strong { font-size: 1.2rem; }
.verdict p { color: var(--text); }
.good { color: var(--good); background: var(--good-ground); }
.info { color: var(--info); background: var(--info-ground); }
.warning { color: var(--warning); background: var(--warning-ground); }
.error { color: var(--error); background: var(--error-ground); }

.facts { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .3rem 1.25rem; margin: 0; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; }

figure { margin: 0 0 1rem; }
figure:not(:first-of-type) { margin-top: 2rem; }
figcaption { font-weight: 600; margin-bottom: .4rem; }
svg { display: block; width: 100%; }
.hidden { position: absolute; width: 0; height: 0; }
.part { fill: var(--card); stroke: var(--line); }
.part-text { fill: var(--text); font: 600 13px system-ui, sans-serif; }
.frame { fill: var(--zero); stroke: var(--line); }
.data { fill: var(--data); }
.used { fill: var(--soft); }
.free { fill: url(#hatch); stroke: var(--line); stroke-width: .5; }
.hatch-line { stroke: var(--line); stroke-width: 1.5; }
.row-text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.legend { list-style: none; padding: 0; margin: .4rem 0 1rem; display: flex; flex-wrap: wrap; gap: .2rem 1.25rem;
  font-size: .875rem; color: var(--soft); }
.legend svg { display: inline-block; width: 1.6rem; height: .9rem; margin-right: .4rem; vertical-align: -.1rem; }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .925rem; }
caption { text-align: left; font-weight: 600; padding-bottom: .4rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0; border-bottom: 1px solid var(--hair);
  overflow-wrap: break-word; }
th.number, td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
thead th { color: var(--soft); font-weight: 600; border-bottom-color: var(--line); }

.finding { border: 1px solid var(--hair); border-left: .35rem solid; border-radius: .35rem; background: var(--card);
  padding: .75rem 1rem; margin: 0 0 .8rem; color: var(--text); }
.finding.of-error { border-left-color: var(--error); }
.finding.of-warning { border-left-color: var(--warning); border-left-style: double; }
.finding.of-info { border-left-color: var(--info); border-left-style: dotted; }
.badge { display: inline-block; border-radius: .25rem; padding: 0 .45rem; margin-right: .5rem; font-size: .8rem;
  font-weight: 700; }
.finding .code { font-size: .8rem; color: var(--soft); }
details { margin-top: .4rem; }
summary { cursor: pointer; color: var(--accent); }
details ul { list-style: none; padding-left: .9rem; border-left: 2px solid var(--hair); }
footer { margin-top: 3rem; font-size: .85rem; color: var(--soft); border-top: 1px solid var(--hair);
  padding-top: .8rem; }

@media (max-width: 40rem) {
  .facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin-bottom: .5rem; }
  .stack thead { position: absolute; left: -100vw; }
  .stack tr { display: block; border-bottom: 1px solid var(--line); padding: .5rem 0; }
  .stack td, .stack th { display: block; border: 0; padding: .1rem 0; text-align: left; white-space: normal; }
  .stack td[data-title]::before { content: attr(data-title) ": "; color: var(--soft); }
  .stack td:empty { display: none; }
}
@media print {
  :root { --ground: #fff; --card: #fff; --text: #000; --soft: #333; --line: #555; --hair: #aaa; --accent: #000;
    --error: #8c1d18; --warning: #6b4100; --info: #003e7a; --good: #0f5129; --error-ground: #fff;
    --warning-ground: #fff; --info-ground: #fff; --good-ground: #fff; --data: #003e7a; --zero: #fff; }
  html { font-size: 10pt; }
  body { max-width: none; padding: 0; }
  .skip { display: none; }
  .finding, figure, tr { break-inside: avoid; }
  h2, h3, caption, .legend { break-after: avoid; }
  .data, .used, .part { print-color-adjust: exact; }
  details::details-content { content-visibility: visible; block-size: auto; }
  .scroll { overflow: visible; }
}
"""
