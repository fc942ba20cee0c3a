"""The evaluation: every generator on every case, measured, kept, and written up.

cases ──> renderers ──> measure ──> results/*.json ──> tables ──> index.html, JSON, CSV
"""

from __future__ import annotations

import functools
import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from motion_transfer.driver import Progress, silent
from motion_transfer.evaluation.cases import Case
from motion_transfer.evaluation.config import EvaluateConfig
from motion_transfer.evaluation.measure import (
    Instruments,
    References,
    look_at_case,
    mean_of,
    measure_change,
    measure_frame,
    measure_video,
)
from motion_transfer.evaluation.metrics import Published
from motion_transfer.evaluation.pairs import count_pairs, pair_case, read_pairs
from motion_transfer.evaluation.renderers import (
    Drawn,
    Renderer,
    TrueRenderer,
    fingerprint,
    make_renderer,
)
from motion_transfer.evaluation.report import write_report
from motion_transfer.evaluation.results import PHOTO, TRUTH, Result, Store, slug
from motion_transfer.evaluation.synthetic import check_samples, held_out_samples, make_case
from motion_transfer.evaluation.videos import clip_name, cross_case, self_case
from motion_transfer.evaluation.vote import write_vote_page
from motion_transfer.pose.blazepose import BlazePose
from motion_transfer.training.config import as_tree

PICTURES_PER_CASE = 6
FORMAT = 1
"""Goes up when a metric changes, so that older results are not mixed with newer ones."""


def evaluate(config: EvaluateConfig, *, progress: Progress | None = None) -> Path:
    """Run an evaluation, going on where an earlier run of the same folder stopped.

    Args:
        config: what to evaluate.
        progress: called with the stage, the results done, and how many there will be.

    Returns:
        The report, `index.html` in the run folder; `results.json`, `results.csv` and `frames.csv`
        lie beside it, and `vote.html` for people to judge.

    Raises:
        InputError: something given cannot be used.
        FileNotFoundError: a clip, photo, shard or weights file is not there.
    """
    show = progress or silent
    for name in config.published:
        Published(name)  # says what is missing before any work is done
    renderers = {g.name: make_renderer(g, config) for g in config.generators}
    if config.synthetic is not None:
        check_samples(config.synthetic)
    store = Store(Path(config.output) / config.name)
    store.folder.mkdir(parents=True, exist_ok=True)
    (store.folder / "config.yaml").write_text(
        yaml.safe_dump(as_tree(config), sort_keys=False), "utf-8"
    )
    tools = Instruments.open(faces=config.faces)
    prints = {g.name: fingerprint(g) for g in config.generators}
    kept: dict[str, int] = {}
    done, total = 0, _count_cases(config) * len(renderers)
    show("evaluate", 0, total)
    for entry in _cases(config, store.folder):
        keys = {g: _key(config, entry, mark, tools) for g, mark in prints.items()}
        missing = [
            g for g, key in keys.items() if not store.is_done(entry.protocol, entry.case, g, key)
        ]
        if missing:
            case = entry.make()
            with_pictures = kept.get(entry.protocol, 0) < config.pictures
            if with_pictures:
                _keep_case(store, case)
            references = look_at_case(case, tools)
            for generator in missing:
                result, embeddings = _measure(
                    case, generator, renderers[generator], references, tools, store,
                    with_pictures=with_pictures, whole_frames=bool(config.published),
                )  # fmt: skip
                store.write(result, embeddings, key=keys[generator])
        kept[entry.protocol] = kept.get(entry.protocol, 0) + 1
        done += len(renderers)
        show("evaluate", done, total)
    write_vote_page(store, config)
    return write_report(store, config)


class Entry(NamedTuple):
    """A case that need not be made if its results are there.

    protocol, case: names.
    options: text that changes when the case does.
    make: makes it.
    """

    protocol: str
    case: str
    options: str
    make: Callable[[], Case]


def _cases(config: EvaluateConfig, folder: Path) -> Iterator[Entry]:
    if config.synthetic is not None:
        pose = config.synthetic.pose
        blazepose = BlazePose() if pose == "blazepose" else None
        for number, sampled in enumerate(held_out_samples(config.synthetic)):
            make = functools.partial(
                make_case, sampled, f"{number:05d}", pose=pose, blazepose=blazepose
            )
            yield Entry("synthetic", f"{number:05d}", f"{sampled.name} {pose}", make)
    if config.pairs is not None:
        backdrop = config.pairs.backdrop
        for name, photo, target in read_pairs(config.pairs):
            make = functools.partial(pair_case, name, photo, target, backdrop=backdrop)
            yield Entry("pairs", name, f"{photo.name} {target.name} {backdrop}", make)
    for protocol, clips, make_clip in (
        ("self", config.self_clips, self_case), ("cross", config.cross_clips, cross_case),
    ):  # fmt: skip
        for clip in clips:
            make = functools.partial(make_clip, clip, config, folder / "tracks")
            options = f"{clip} {config.every} {config.max_side} {config.matte} {config.videos}"
            yield Entry(protocol, clip_name(clip), options, make)


def _count_cases(config: EvaluateConfig) -> int:
    rendered = 0 if config.synthetic is None else config.synthetic.num
    paired = 0 if config.pairs is None else count_pairs(config.pairs)
    return rendered + paired + len(config.self_clips) + len(config.cross_clips)


def _key(config: EvaluateConfig, entry: Entry, mark: str, tools: Instruments) -> str:
    """What a result depends on; it is measured again when this changes."""
    there = [tools.features is not None, tools.faces is not None, bool(config.published)]
    text = f"{FORMAT} {entry.options} {config.smooth} {mark} {there}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _keep_case(store: Store, case: Case) -> None:
    """Small copies of the photo and of the true frames."""
    store.keep_picture(case.protocol, case.name, PHOTO, 0, case.photo)
    for frame in _spread(case.frames):
        if frame in case.truths:
            store.keep_picture(case.protocol, case.name, TRUTH, frame, case.truths[frame].rgb)


def _spread(frames: tuple[int, ...]) -> list[int]:
    """Some of the frames, evenly spread."""
    if len(frames) <= PICTURES_PER_CASE:
        return list(frames)
    places = np.linspace(0, len(frames) - 1, PICTURES_PER_CASE).round().astype(int)
    return [frames[p] for p in places]


def _measure(
    case: Case,
    generator: str,
    renderer: Renderer,
    references: References,
    tools: Instruments,
    store: Store,
    *,
    with_pictures: bool,
    whole_frames: bool,
) -> tuple[Result, np.ndarray]:
    """One generator on one case: its values, and embeddings (T, C) of its frames."""
    frames: dict[int, dict[str, float]] = {}
    embeddings: list[np.ndarray] = []
    shown = _spread(case.frames) if with_pictures else []
    before: tuple[int, Drawn] | None = None
    work = store.folder / "work" / slug(generator) / case.protocol / slug(case.name)
    for frame, drawn in renderer.draw(case, work):
        if before is not None and before[0] == frame - 1 and before[0] in frames:
            frames[frame - 1] |= measure_change(case, frame - 1, before[1], drawn)
        if frame in case.frames:
            frames[frame], embedding = measure_frame(case, frame, drawn, references, tools)
            embeddings += [] if embedding is None else [embedding]
            if whole_frames and frame in case.truths:
                store.keep_frame(case, generator, frame, drawn.rgb)
        if frame in shown:
            store.keep_picture(case.protocol, case.name, generator, frame, drawn.rgb)
        before = (frame, drawn)
    values = mean_of(list(frames.values()))
    if not isinstance(renderer, TrueRenderer):
        values["frames_missing"] = float(len(case.frames) - len(frames))
    if (video := renderer.video(case, work)) is not None:
        values |= measure_video(case, video)
    shutil.rmtree(work, ignore_errors=True)
    result = Result(
        protocol=case.protocol, case=case.name, generator=generator, values=values, frames=frames
    )
    return result, np.stack(embeddings) if embeddings else np.zeros((0, 0), np.float32)
