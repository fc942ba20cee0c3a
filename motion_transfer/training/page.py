"""`index.html` of a run folder: curves and the newest sample sheets, one file without scripts."""

from __future__ import annotations

import html
import json
from pathlib import Path

_WIDTH, _HEIGHT, _SHEETS = 360, 140, 4
_STYLE = (
    "body{font:14px sans-serif;margin:2em}figure{display:inline-block;margin:0 1em 1em 0}"
    "figcaption{font-weight:bold}svg{background:#f4f4f4}img{max-width:100%}"
)


def write_page(folder: Path) -> Path:
    """Write the page of a run folder from its log.

    Returns:
        The page.
    """
    curves: dict[str, list[tuple[int, float]]] = {}
    log = folder / "log.jsonl"  # a run that was stopped early has none
    for line in log.read_text().splitlines() if log.exists() else ():
        entry = json.loads(line)
        for name, value in entry.items():
            if name != "step":
                curves.setdefault(name, []).append((entry["step"], float(value)))
    figures = [_figure(name, curves[name]) for name in sorted(curves)]
    sheets = [
        f'<h2>step {int(path.stem)}</h2><img src="sheets/{path.name}" alt="samples">'
        for path in sorted((folder / "sheets").glob("*.png"))[-_SHEETS:][::-1]
    ]
    page = folder / "index.html"
    temporary = folder / ".index.html.new"
    temporary.write_text(
        f"<!doctype html><meta charset=utf-8><title>{html.escape(folder.name)}</title>"
        f"<style>{_STYLE}</style><h1>{html.escape(folder.name)}</h1>" + "\n".join(figures + sheets),
        encoding="utf-8",
    )
    temporary.replace(page)
    return page


def _figure(name: str, points: list[tuple[int, float]]) -> str:
    finite = [(s, v) for s, v in points if v == v and abs(v) != float("inf")]
    if not finite:
        return ""
    steps, values = zip(*finite, strict=True)
    low, high = min(values), max(values)
    across, up = max(steps[-1] - steps[0], 1), max(high - low, 1e-12)
    line = " ".join(
        f"{(s - steps[0]) / across * _WIDTH:.1f},{_HEIGHT - (v - low) / up * _HEIGHT:.1f}"
        for s, v in finite
    )
    return (
        f"<figure><figcaption>{html.escape(name)} {values[-1]:.4g}</figcaption>"
        f'<svg width="{_WIDTH}" height="{_HEIGHT}"><polyline points="{line}" fill="none" '
        f'stroke="#0366d6" stroke-width="1.5"/></svg><br>{low:.4g} to {high:.4g}, '
        f"steps {steps[0]} to {steps[-1]}</figure>"
    )
