"""Colours of the SVG, by day and by night. Shapes, widths and words say the same without them."""

BASE = """\
text{font:11px Helvetica,Arial,"Liberation Sans","DejaVu Sans",sans-serif;fill:#475569}
.bg{fill:#fff}
.t{font-size:12px;font-weight:700;fill:#0f172a}
.y{font-size:15px;text-anchor:end;fill:#334155}
.o,.l,.c,.f,.b{fill:#f8fafc;stroke:#64748b}
.l{fill:#fffbeb;stroke:#d97706}
.c{fill:#f4f4f5;stroke:#a1a1aa}
.f{fill:#eef2ff;stroke:#6366f1}
.b{fill:#faf5ff;stroke:#9333ea}
.a path{fill:none;stroke:#64748b;marker-end:url(#h)}
.d path{fill:none;stroke:#a1a1aa;stroke-dasharray:4 3;marker-end:url(#i)}
.g path{fill:none;stroke:#9333ea;marker-end:url(#j)}
.p path{fill:none;stroke:#ea580c;stroke-width:4.5;marker-end:url(#p)}
#h{fill:#64748b}#i{fill:#a1a1aa}#j{fill:#9333ea}#p{fill:#ea580c}
.n text{font-size:9.5px;text-anchor:end;fill:#334155;stroke:#fff;stroke-width:3px;\
paint-order:stroke;stroke-linejoin:round}
.n .v{text-anchor:start}
.q{stroke:#cbd5e1}
.s0,.s1,.s2,.s3,.r1,.r2,.r3{stroke-width:4;stroke:#94a3b8}
.s1{stroke:#7dd3fc}.s2{stroke:#0ea5e9}.s3{stroke:#075985}
.r1{stroke:#fdba74}.r2{stroke:#f97316}.r3{stroke:#b91c1c}
.k text,.m text{font-size:10px;font-weight:700;fill:#991b1b}
.k rect{fill:#fee2e2;stroke:#dc2626}
.k path{fill:#dc2626;stroke:#dc2626;stroke-width:1.6}
.m text{fill:#854d0e}
.m rect{fill:#fef9c3;stroke:#ca8a04}
.m path{fill:none;stroke:#a16207;stroke-width:1.6}"""

NIGHT = """\
text{fill:#94a3b8}.bg{fill:#0b1120}.t{fill:#f1f5f9}.y{fill:#cbd5e1}
.o{fill:#1e293b;stroke:#64748b}.l{fill:#2a2110;stroke:#d97706}.c{fill:#1c1c20;stroke:#71717a}
.f{fill:#1e1b4b;stroke:#818cf8}.b{fill:#2e1065;stroke:#a855f7}
.n text{fill:#cbd5e1;stroke:#0b1120}
.k text{fill:#fecaca}.k rect{fill:#450a0a}.m text{fill:#fef08a}.m rect{fill:#422006}
.q{stroke:#475569}.s3{stroke:#38bdf8}.s1{stroke:#0369a1}.r1{stroke:#9a3412}.r3{stroke:#f87171}"""

STYLE = f"<style>\n{BASE}\n@media(prefers-color-scheme:dark){{\n{NIGHT}\n}}\n</style>"

HEADS = "".join(
    f'<marker id="{name}" viewBox="0 0 7 8" markerWidth="7" markerHeight="8" refY="4" '
    'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0l7 4l-7 4z"/></marker>'
    for name in "hijp"
)
