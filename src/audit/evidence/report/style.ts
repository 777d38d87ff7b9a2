/** The style of the report: light, dark, and on paper. */
export const STYLE = `
:root{color-scheme:light dark;--paper:#fff;--ink:#1a1d21;--soft:#5a6370;--rule:#dfe3e8;--wash:#f5f7f9;--link:#0b5cad;
--permit:#2f7d6b;--hold:#d99a2b;--deny:#b8433a;--refused:#7d6aa8;--plain:#a9b4c0;--masked:#2b6cb0;--warn:#8a4b08;--warn-wash:#fdf4e3}
@media (prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e5e8ec;--soft:#9aa5b1;--rule:#2c333b;--wash:#1b2026;--link:#7ab7f5;
--permit:#4fb19a;--hold:#e0ad4e;--deny:#e0736a;--refused:#a899d4;--plain:#5b6672;--masked:#64a3e3;--warn:#f0c274;--warn-wash:#2b2418}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif;
font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}
main{max-width:54rem;margin:0 auto;padding:3.5rem 1.5rem 5rem}
h1{font-size:2.1rem;line-height:1.15;letter-spacing:-.02em;margin:0 0 .4rem}
h2{font-size:1.35rem;line-height:1.25;letter-spacing:-.01em;margin:3.2rem 0 .6rem}
h3{font-size:1rem;margin:1.8rem 0 .4rem}
p{margin:.5rem 0 .9rem;max-width:46rem}
a{color:var(--link)}
.lead{font-size:1.05rem;color:var(--soft);margin-bottom:1.6rem}
code{font:.88em/1.4 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;overflow-wrap:anywhere}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.4rem;margin:1.2rem 0 2rem;font-size:.93rem}
dl.facts dt{color:var(--soft)}dl.facts dd{margin:0;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(4,1fr);gap:1px;background:var(--rule);border:1px solid var(--rule);
border-radius:8px;overflow:hidden;margin:1.4rem 0 2rem}
.tiles div{background:var(--paper);padding:.8rem 1rem .7rem}
.tiles b{display:block;font-size:1.55rem;line-height:1.2;font-weight:600;letter-spacing:-.01em}
.tiles span{color:var(--soft);font-size:.83rem}
table{border-collapse:collapse;width:100%;margin:.4rem 0 1.4rem;font-size:.88rem;line-height:1.4}
caption{text-align:left;font-weight:600;padding:.2rem 0 .35rem}
th,td{text-align:left;vertical-align:top;padding:.38rem .9rem .38rem 0;border-bottom:1px solid var(--rule);font-weight:400;overflow-wrap:anywhere}
thead th{color:var(--soft);font-size:.78rem;border-bottom-color:var(--soft);white-space:nowrap}
th:last-child,td:last-child{padding-right:0}
.n{text-align:right;white-space:nowrap}
.n+td:not(.n),.n+th:not(.n){padding-left:.7rem}
td.w{width:7rem}td.t{white-space:nowrap}
table.samples{table-layout:fixed}table.samples th:nth-child(1){width:11.2rem}table.samples th:nth-child(2){width:9.5rem}
table.samples td:first-child code{font-size:.74rem}
td code{font-size:.8rem}td.t code{overflow-wrap:normal}
.soft,small{color:var(--soft)}
figure{margin:1.2rem 0 1.6rem}
figcaption{display:flex;flex-wrap:wrap;justify-content:space-between;gap:.2rem 1.2rem;font-size:.88rem;font-weight:600;margin-bottom:.5rem}
.legend{display:flex;flex-wrap:wrap;gap:.1rem 1rem;font-weight:400;color:var(--soft)}
.legend i{display:inline-block;width:.7rem;height:.7rem;border-radius:2px;margin-right:.4rem}
svg{display:block;width:100%;height:auto}
svg.bar{height:.55rem;margin-top:.42rem}
.grid{stroke:var(--rule);stroke-width:1}
.tick{fill:var(--soft);font-size:11px}
rect.permit{fill:var(--permit)}rect.hold{fill:var(--hold)}rect.deny{fill:var(--deny)}rect.refused{fill:var(--refused)}rect.plain{fill:var(--plain)}rect.masked{fill:var(--masked)}
i.permit{background:var(--permit)}i.hold{background:var(--hold)}i.deny{background:var(--deny)}i.refused{background:var(--refused)}i.plain{background:var(--plain)}i.masked{background:var(--masked)}
details{font-size:.85rem;color:var(--soft)}summary{cursor:pointer;width:max-content}
section.criterion{border-top:2px solid var(--ink);margin-top:3.2rem;padding-top:.2rem}
section.criterion h2{margin-top:1rem}
h2 .code{color:var(--soft);font-weight:400;margin-right:.7rem}
.not,.look{border-left:3px solid var(--rule);background:var(--wash);padding:.7rem 1rem;margin:1.2rem 0;border-radius:0 6px 6px 0;font-size:.93rem}
.not p,.look p{margin:0}
.look{border-left-color:var(--warn);background:var(--warn-wash)}
.look ul{margin:.3rem 0 0;padding-left:1.2rem}
.none{color:var(--soft)}
nav ol{list-style:none;margin:.6rem 0;padding:0}
nav li{display:grid;grid-template-columns:4.2rem 1fr;padding:.22rem 0;border-bottom:1px solid var(--rule)}
nav li a{text-decoration:none}
footer{margin-top:4rem;padding-top:1rem;border-top:1px solid var(--rule);color:var(--soft);font-size:.85rem}
@media (max-width:40rem){.tiles{grid-template-columns:repeat(2,1fr)}main{padding:2rem 1rem 3rem}table{display:block;overflow-x:auto}}
@media print{@page{margin:18mm 16mm 20mm}:root{--paper:#fff;--ink:#000;--soft:#444;--rule:#bbb;--wash:#f3f3f3;--warn-wash:#f3f3f3}
body{font-size:9.5pt}main{max-width:none;padding:0}h2{break-after:avoid}h3{break-after:avoid}figure,tr,.not,.look,.tiles{break-inside:avoid}
section.criterion{break-before:page;margin-top:0}details{display:none}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}a{color:inherit;text-decoration:none}}
`
