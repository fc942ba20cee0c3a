"""The report of a run: one HTML page with everything in it, and the figures as JSON and CSV."""

from __future__ import annotations

import base64
import csv
import dataclasses
import json
import os
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import torch
import yaml

from motion_transfer import __version__
from motion_transfer.evaluation.config import EvaluateConfig
from motion_transfer.evaluation.measure import METRICS
from motion_transfer.evaluation.metrics import (
    FeatureStatistics,
    Published,
    frechet_distance,
    kernel_distance,
)
from motion_transfer.evaluation.results import PHOTO, TRUTH, Result, Store, without_nan
from motion_transfer.evaluation.statistics import by_metric, compare, summarise
from motion_transfer.evaluation.videos import clip_name
from motion_transfer.media.photo import read_photo
from motion_transfer.training.config import as_tree
from motion_transfer.training.datasets.pictures import Prepared

PROTOCOLS = {
    "synthetic": "Rendered people, held out",
    "pairs": "Pairs of a data set",
    "self": "Self-reenactment",
    "cross": "Cross-reenactment",
}
PLOTTED = ("psnr_person", "features_person", "akd", "flicker", "flicker_own", "identity_face")
SORTED_BY = ("features_person", "psnr_person", "akd")
"""The first of these that was measured tells good cases from bad ones."""
SHOWN_CASES = 6  # best and worst, each
_COLOURS = ("#888888", "#c2571a", "#1b6ca8", "#2e8b57", "#8e44ad", "#b8860b", "#c0392b")
_PLOT_WH = (420, 150)
_BATCH = 16


def write_report(store: Store, config: EvaluateConfig) -> Path:
    """Write `index.html`, `results.json`, `results.csv` and `frames.csv` of a run.

    Args:
        store: the results.
        config: of the run; only its generators are shown.

    Returns:
        The page.
    """
    order = [g.name for g in config.generators]
    results = [r for r in store.read() if r.generator in order]
    results.sort(key=lambda r: order.index(r.generator))
    protocols = {}
    for protocol in PROTOCOLS:
        own = [r for r in results if r.protocol == protocol]
        if own:
            protocols[protocol] = _tables(own, store, config)
    summary = {"version": __version__, "config": as_tree(config), "protocols": protocols}
    write_text(store.folder / "results.json", json.dumps(without_nan(summary), indent=1))
    _write_csv(store.folder / "results.csv", results)
    _write_frames_csv(store.folder / "frames.csv", results)
    page = open_template("report.html").render(
        name=config.name, version=__version__, reference=config.reference, generators=order,
        colours=dict(zip(order, _COLOURS * len(order), strict=False)), metrics=METRICS,
        config=yaml.safe_dump(as_tree(config), sort_keys=False),
        sections=[
            {
                "id": protocol, "title": title, "tables": protocols[protocol],
                "note": _about_pairs(config) if protocol == "pairs" else None,
                "plots": _plots([r for r in results if r.protocol == protocol], order),
                "sheets": _sheets([r for r in results if r.protocol == protocol], store, config),
            }
            for protocol, title in PROTOCOLS.items()
            if protocol in protocols
        ],
    )  # fmt: skip
    path = store.folder / "index.html"
    write_text(path, page)
    return path


def _tables(results: list[Result], store: Store, config: EvaluateConfig) -> dict[str, Any]:
    """Means, comparisons with the reference, and distances of distributions, by metric."""
    protocol, table = results[0].protocol, by_metric(results)
    true_name = _name_of_truth(config)
    clips = {"self": config.self_clips, "cross": config.cross_clips}.get(protocol, ())
    driving = {clip_name(clip): clip.driving for clip in clips}
    means: dict[str, Any] = {}
    compared: dict[str, Any] = {}
    for metric, generators in table.items():
        means[metric] = {
            g: dataclasses.asdict(summarise(cases.values())) for g, cases in generators.items()
        }
        reference = generators.get(config.reference, {})
        for generator, cases in generators.items():
            both = sorted(cases.keys() & reference.keys())
            if generator not in (config.reference, true_name) and both:
                comparison = compare(
                    [cases[c] for c in both], [reference[c] for c in both],
                    better=METRICS[metric].better, driving=[driving.get(c, c) for c in both],
                    seed=config.seed,
                )  # fmt: skip
                compared.setdefault(metric, {})[generator] = dataclasses.asdict(comparison)
    return {
        "cases": len({r.case for r in results}), "means": means, "compared": compared,
        "distributions": _distributions(store, protocol, config),
    }  # fmt: skip


def _distributions(store: Store, protocol: str, config: EvaluateConfig) -> dict[str, Any]:
    """How far each generator's set of pictures is from the true set, by name of the distance."""
    true_name = _name_of_truth(config)
    truth = None if true_name is None else store.embeddings(protocol, true_name)
    found: dict[str, Any] = {}
    for generator in config.generators:
        features = store.embeddings(protocol, generator.name)
        if truth is not None and generator.kind != "truth" and min(len(truth), len(features)) > 1:
            statistics = FeatureStatistics.of(features), FeatureStatistics.of(truth)
            for name, value in (
                ("Frechet distance, EfficientNet-Lite0", frechet_distance(*statistics)),
                ("kernel distance, EfficientNet-Lite0", kernel_distance(features, truth)),
            ):
                found.setdefault(name, {})[generator.name] = {"value": value, "num": len(features)}
        for name in config.published:
            pairs = list(store.frame_pairs(protocol, generator.name))
            if len(pairs) > 1:
                metric = Published(name)
                for first in range(0, len(pairs), _BATCH):
                    batch = [[_read(p) for p in pair] for pair in pairs[first : first + _BATCH]]
                    for one, true in batch:  # sizes may differ from case to case
                        metric.update(one, true)
                found.setdefault(name, {})[generator.name] = {
                    "value": metric.compute(), "num": len(pairs)
                }  # fmt: skip
    return found


def _name_of_truth(config: EvaluateConfig) -> str | None:
    return next((g.name for g in config.generators if g.kind == "truth"), None)


def _about_pairs(config: EvaluateConfig) -> str | None:
    """What figures of pairs stand on, and what they lack."""
    if config.pairs is None:
        return None
    prepared = Prepared(config.pairs.folder)
    listed = len(prepared.pairs(config.pairs.list))
    there = sum(len(pairs) for _, pairs in prepared.by_shard(config.pairs.list))
    height, width = prepared.size_hw
    return (
        f"List {config.pairs.list}: {listed} pairs of {height} x {width} pixels; {listed - there} "
        "of them lack a picture that could not be prepared (left-out.csv says why)."
    )


def _read(path: Path) -> torch.Tensor:
    rgb = torch.from_numpy(read_photo(path).rgb)
    return rgb.permute(2, 0, 1)[None].float() / 255


def _plots(results: list[Result], order: Sequence[str]) -> list[dict[str, Any]]:
    """Curves over time of the clips with more than two measured frames."""
    plots = []
    for case in sorted({r.case for r in results if len(r.frames) > 2}):
        curves = []
        for metric in PLOTTED:
            series = {
                r.generator: [(f, v[metric]) for f, v in sorted(r.frames.items())
                              if np.isfinite(v.get(metric, np.nan))]
                for r in results if r.case == case
            }  # fmt: skip
            drawn = _lines({g: points for g, points in series.items() if len(points) > 1})
            if drawn is not None:
                curves.append({"metric": metric, **drawn})
        plots.append({"case": case, "curves": curves})
    return plots


def _lines(series: dict[str, list[tuple[int, float]]]) -> dict[str, Any] | None:
    """Curves as SVG polylines of one frame."""
    if not series:
        return None
    points = np.array([p for s in series.values() for p in s], np.float64)
    low, high = points.min(0), points.max(0)
    span = np.maximum(high - low, 1e-9)
    width, height = _PLOT_WH
    lines = {
        g: " ".join(
            f"{(x - low[0]) / span[0] * width:.1f},{(1 - (y - low[1]) / span[1]) * height:.1f}"
            for x, y in s
        )
        for g, s in series.items()
    }
    return {
        "lines": lines, "low": low[1], "high": high[1], "first": int(low[0]), "last": int(high[0]),
        "width": width, "height": height,
    }  # fmt: skip


def _sheets(results: list[Result], store: Store, config: EvaluateConfig) -> dict[str, Any]:
    """Pictures of the worst and the best cases of the last generator; clips frame by frame."""
    true_name, names = _name_of_truth(config), [g.name for g in config.generators]
    order = [name for name in names if name != true_name] or names
    last = [r for r in results if r.generator == order[-1]]
    metric = next((m for m in SORTED_BY if any(m in r.values for r in last)), SORTED_BY[-1])
    sign = 1 if METRICS[metric].better == "more" else -1
    ranked = sorted(
        (r for r in last if np.isfinite(r.values.get(metric, np.nan))),
        key=lambda r: sign * r.values[metric],
    )
    worst = ranked[:SHOWN_CASES]
    best = [r for r in ranked[-SHOWN_CASES:][::-1] if r not in worst]
    groups = []
    for title, chosen in (("Worst cases", worst), ("Best cases", best)):
        rows = [row for r in chosen if (row := _row(r, results, store, order, metric))]
        if rows:
            groups.append({"title": f"{title} of {order[-1]}, by {metric}", "rows": rows})
    return {"groups": groups, "clips": _clips(last, store, order)}


def _row(
    chosen: Result, results: list[Result], store: Store, order: Sequence[str], metric: str
) -> dict[str, Any] | None:
    """One case: photo, truth, and each generator, at the frame in the middle."""
    frames = _kept_frames(chosen, store)
    if not frames:
        return None
    frame = frames[len(frames) // 2]
    cells: list[dict[str, Any]] = [
        {"label": label, "value": None, "picture": picture}
        for label, name, at in (("photo", PHOTO, 0), ("truth", TRUTH, frame))
        if (picture := embed_picture(store, chosen, name, at))
    ]
    for generator in order:
        own = next((r for r in results if r.case == chosen.case and r.generator == generator), None)
        picture = embed_picture(store, chosen, generator, frame)
        if own is not None and picture:
            value = own.frames.get(frame, {}).get(metric)
            cells.append({"label": generator, "value": value, "picture": picture})
    return {"case": chosen.case, "frame": frame, "cells": cells}


def _clips(last: list[Result], store: Store, order: Sequence[str]) -> list[dict[str, Any]]:
    """Clips of more than two frames as a sheet: a row for the truth and for each generator."""
    clips = []
    for result in last:
        frames = _kept_frames(result, store)
        if len(frames) <= 2:
            continue
        rows = []
        for label, name in (("truth", TRUTH), *((g, g) for g in order)):
            cells = [embed_picture(store, result, name, frame) for frame in frames]
            if any(cells):
                rows.append({"label": label, "cells": cells})
        photo = embed_picture(store, result, PHOTO, 0)
        clips.append({"case": result.case, "photo": photo, "frames": frames, "rows": rows})
    return clips


def _kept_frames(result: Result, store: Store) -> list[int]:
    return [
        f for f in sorted(result.frames)
        if store.picture_path(result.protocol, result.case, result.generator, f).is_file()
    ]  # fmt: skip


def embed_picture(store: Store, result: Result, name: str, frame: int) -> str | None:
    """A kept picture of a result's case as a data address; None where it was not kept."""
    path = store.picture_path(result.protocol, result.case, name, frame)
    if not path.is_file():
        return None
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()


def _write_csv(path: Path, results: list[Result]) -> None:
    names = [m for m in METRICS if any(m in r.values for r in results)]
    rows = (
        [r.protocol, r.case, r.generator, *(r.values.get(m, "") for m in names)] for r in results
    )
    _write_rows(path, ["protocol", "case", "generator", *names], rows)


def _write_frames_csv(path: Path, results: list[Result]) -> None:
    names = [m for m in METRICS if any(m in v for r in results for v in r.frames.values())]
    rows = (
        [r.protocol, r.case, r.generator, frame, *(values.get(m, "") for m in names)]
        for r in results
        for frame, values in sorted(r.frames.items())
    )
    _write_rows(path, ["protocol", "case", "generator", "frame", *names], rows)


def _write_rows(path: Path, header: list[str], rows: Iterable[list[Any]]) -> None:
    temporary = path.with_suffix(".new")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    os.replace(temporary, path)


def write_text(path: Path, text: str) -> None:
    """Write a file; it appears whole or not at all."""
    temporary = path.with_suffix(".new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def open_template(name: str) -> jinja2.Template:
    """A page of this package, to be filled in; everything put into it is escaped."""
    text = (resources.files(__package__) / "templates" / name).read_text("utf-8")
    return jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        text
    )
