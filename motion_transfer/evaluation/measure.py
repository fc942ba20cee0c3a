"""All metrics of one drawn frame, or of two consecutive ones."""

from __future__ import annotations

import dataclasses
import logging
import warnings
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from motion_transfer.errors import WeightsError
from motion_transfer.evaluation import metrics
from motion_transfer.evaluation.cases import Case, Truth
from motion_transfer.evaluation.features import FeatureNetwork, efficientnet_lite0
from motion_transfer.evaluation.renderers import Drawn
from motion_transfer.evaluation.videos import estimate_motion
from motion_transfer.generator.warp import pixel_grid
from motion_transfer.media.probe import probe
from motion_transfer.pose.blazepose import BlazePose
from motion_transfer.pose.people import choose_person, find_people
from motion_transfer.synth.rig import PARSE

_LOG = logging.getLogger(__name__)

CROP_HW = (256, 192)
"""Size in which the features of a person are compared."""
MARGIN_SHARE = 0.02
"""The person's region is the true matte, grown by this share of the picture's height."""


class Metric(NamedTuple):
    """How a metric is shown: its unit, whether less or more is better, and what it says."""

    unit: str
    better: str
    meaning: str


METRICS: dict[str, Metric] = {
    "l1": Metric("1/255", "less", "mean absolute difference, whole picture"),
    "psnr": Metric("dB", "more", "signal to noise, whole picture"),
    "ssim": Metric("", "more", "SSIM, Gaussian window 11, sigma 1.5, whole picture"),
    "ms_ssim": Metric("", "more", "multi-scale SSIM, whole picture"),
    "ssim_gfla": Metric("", "more", "what GFLA and DPTN call SSIM: window 51; pairs only"),
    "ssim_gfla_256": Metric("", "more", "what they call SSIM_256: range of the result; pairs only"),
    "l1_person": Metric("1/255", "less", "mean absolute difference in the person's region"),
    "psnr_person": Metric("dB", "more", "signal to noise in the person's region"),
    "ssim_person": Metric("", "more", "SSIM in the person's region"),
    "features_person": Metric(
        "", "less", "distance of EfficientNet-Lite0 features in the person's crop"
    ),
    "alpha_iou": Metric("", "more", "overlap of the result's matte and the true one"),
    "epe": Metric("px", "less", "end-point error of the flow where the photo shows the surface"),
    "visibility_f1": Metric("", "more", "F1 of what the photo is said to show, on the person"),
    "parse_miou": Metric(
        "", "more", "overlap of garments where the photo shows them: its labels carried by the flow"
    ),
    "akd": Metric("torso", "less", "key points found in the result to where they should be"),
    "akd_px": Metric("px", "less", "the same in pixels"),
    "mkr": Metric("", "less", "share of key points that are not found in the result"),
    "identity_face": Metric(
        "", "less", "distance of face embeddings to the photo's (dlib: same person below 0.6)"
    ),
    "identity_features": Metric(
        "", "more", "cosine of EfficientNet-Lite0 embeddings of the person's crop to the photo's"
    ),
    "flicker": Metric("1/255", "less", "change to the next frame beyond the true motion"),
    "flicker_own": Metric("1/255", "less", "change to the next frame beyond its own motion"),
    "background": Metric("1/255", "less", "change to the next frame where nobody is"),
    "frames_missing": Metric("", "less", "measured frames that the result lacks"),
    "frame_count": Metric("", "less", "finished video: frames too many or too few"),
    "fps": Metric("1/s", "less", "finished video: distance of the frame rate to the driving one"),
    "audio_offset": Metric("s", "less", "finished video: how far the sound is out of step"),
}
"""All metrics, in the order of the tables."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instruments:
    """Networks that measure; those whose files are not there are None, and the log says so."""

    blazepose: BlazePose
    features: FeatureNetwork | None
    faces: metrics.FaceEmbedder | None

    @classmethod
    def open(cls, *, faces: bool) -> Instruments:
        """Load what is there."""
        network = embedder = None
        try:
            network = efficientnet_lite0()
        except WeightsError as error:
            _LOG.warning("no feature distances: %s", error)
        try:
            embedder = metrics.FaceEmbedder() if faces else None
        except WeightsError as error:
            _LOG.warning("no identity by the face: %s", error)
        return cls(blazepose=BlazePose(), features=network, faces=embedder)


@dataclasses.dataclass(frozen=True, kw_only=True)
class References:
    """What the results of a case are compared with, computed once for all generators.

    Args:
        face: (128,) embedding of the photographed face; None where none is found.
        features: (C,) embedding of the photographed person's crop.
        truths: features of the true person's crop by frame.
    """

    face: np.ndarray | None
    features: np.ndarray | None
    truths: dict[int, list[torch.Tensor]]


@torch.inference_mode()
def look_at_case(case: Case, tools: Instruments) -> References:
    """Embed the photo and the true frames of a case."""
    xy = case.source.pose.xy[0]
    face = None if tools.faces is None else tools.faces(case.photo, xy)
    if tools.features is None:
        return References(face=face, features=None, truths={})
    crop = _crop(case.photo, _box(xy, case.source.pose.confidence[0], case.source.alpha))
    truths = {
        frame: tools.features(_crop(case.truths[frame].rgb, _target_box(case, frame)))
        for frame in case.frames
        if frame in case.truths
    }
    return References(face=face, features=tools.features.embed(crop)[0].numpy(), truths=truths)


@torch.inference_mode()
def measure_frame(
    case: Case, frame: int, drawn: Drawn, references: References, tools: Instruments
) -> tuple[dict[str, float], np.ndarray | None]:
    """Metrics of one frame.

    Args:
        case: what was asked for.
        frame: which target.
        drawn: the result.
        references: from `look_at_case`.
        tools: what measures.

    Returns:
        Values by name of `METRICS`, NaN where there is nothing to measure; and the embedding (C,)
        of the person's crop for the distance of distributions.
    """
    values: dict[str, float] = {}
    truth = case.truths.get(frame)
    values |= _pose(case, frame, drawn, tools)
    if truth is not None:
        values |= _pictures(case, drawn, truth)
        values |= _maps(case, drawn, truth)
    embedding = None
    if tools.features is not None:
        found = tools.features(_crop(drawn.rgb, _target_box(case, frame)))
        embedding = found[-1][0].mean((1, 2)).numpy()
        if frame in references.truths:
            apart = metrics.distance_of_features(found, references.truths[frame])
            values["features_person"] = float(apart)
        if references.features is not None:
            values["identity_features"] = metrics.cosine_similarity(embedding, references.features)
    if tools.faces is not None and references.face is not None:
        face = tools.faces(drawn.rgb, case.targets.xy[frame])
        values["identity_face"] = (
            float("nan") if face is None else float(np.linalg.norm(face - references.face))
        )
    return values, embedding


@torch.inference_mode()
def measure_change(case: Case, frame: int, now: Drawn, then: Drawn) -> dict[str, float]:
    """Metrics of a frame and the one after it."""
    truth, after = case.truths.get(frame), case.truths.get(frame + 1)
    a, b = _picture(now.rgb), _picture(then.rgb)
    region = _region(truth.alpha if truth is not None else now.alpha, now.rgb.shape[:2])
    values = {}
    if truth is not None and truth.motion is not None:
        mask = torch.from_numpy(truth.motion_known)[None, None] & region
        flow = torch.from_numpy(truth.motion)[None]
        values["flicker"] = 255 * float(metrics.warping_error(a, b, flow, mask=mask))
    flow_own, known = estimate_motion(now.rgb, then.rgb)
    mask = torch.from_numpy(known)[None, None] & region
    error = metrics.warping_error(a, b, torch.from_numpy(flow_own)[None], mask=mask)
    values["flicker_own"] = 255 * float(error)
    later = after.alpha if after is not None else then.alpha
    if later is not None and case.protocol != "synthetic":  # there the background is not drawn
        person = region | _region(later, now.rgb.shape[:2])
        values["background"] = 255 * float(metrics.background_change(a, b, still=~person))
    return values


def measure_video(case: Case, video: Path) -> dict[str, float]:
    """Whether a finished video keeps frames, rate and sound of what drives it; 0 is right."""
    values = {
        "frame_count": abs(float(metrics.frame_count_error(video, len(case.targets)))),
        "fps": abs(float(metrics.fps_error(video, case.targets.fps))),
    }
    if case.clip is not None:
        driving, start = case.clip.driving, case.clip.start
        if not Path(driving).is_dir() and probe(driving).has_audio and probe(video).has_audio:
            offset = metrics.audio_offset_seconds(video, driving, start_seconds=start)
            values["audio_offset"] = abs(offset)
    return values


def _pose(case: Case, frame: int, drawn: Drawn, tools: Instruments) -> dict[str, float]:
    people = find_people(drawn.rgb, blazepose=tools.blazepose, tiles=False)
    joints = case.targets.xy.shape[1]
    xy, confidence = np.full((joints, 2), np.nan), np.zeros(joints)
    if people:
        sample = choose_person(people).sample
        xy, confidence = sample.xy, sample.confidence
    found = metrics.keypoint_distance(
        xy[None], confidence[None], case.targets.xy[frame : frame + 1],
        case.targets.confidence[frame : frame + 1], least_torso_px=0.05 * drawn.rgb.shape[0],
    )  # fmt: skip
    return {
        "akd": float(found.torsos[0]), "akd_px": float(found.px[0]), "mkr": float(found.missing[0])
    }  # fmt: skip


def _pictures(case: Case, drawn: Drawn, truth: Truth) -> dict[str, float]:
    a, b = _picture(drawn.rgb), _picture(truth.rgb)
    mask = _region(truth.alpha, truth.rgb.shape[:2]).float()
    values = {
        "l1_person": 255 * metrics.l1(a, b, mask=mask),
        "psnr_person": metrics.psnr(a, b, mask=mask),
        "ssim_person": metrics.ssim(a, b, mask=mask),
    }
    if case.whole:
        values |= {
            "l1": 255 * metrics.l1(a, b), "psnr": metrics.psnr(a, b), "ssim": metrics.ssim(a, b)
        }  # fmt: skip
        if min(a.shape[-2:]) >= 176:
            values["ms_ssim"] = metrics.ms_ssim(a, b)
    if case.protocol == "pairs":
        for name in ("ssim_gfla", "ssim_gfla_256"):
            values[name] = metrics.ssim(a, b, **metrics.FIELD_SSIM[name])
    return {name: float(value) for name, value in values.items()}


def _maps(case: Case, drawn: Drawn, truth: Truth) -> dict[str, float]:
    values = {}
    if drawn.alpha is not None:
        values["alpha_iou"] = metrics.iou(
            torch.from_numpy(drawn.alpha > 0.5)[None], torch.from_numpy(truth.alpha > 0.5)[None]
        )
    if drawn.flow is None or drawn.visible is None or truth.flow is None:
        return {name: float(value) for name, value in values.items()}
    assert truth.visible is not None and truth.known is not None
    flow = torch.from_numpy(drawn.flow)[None]
    known = torch.from_numpy(truth.known)[None]
    seen = torch.from_numpy(truth.visible)[None]
    covered = torch.from_numpy(drawn.alpha > 0.5)[None] if drawn.alpha is not None else known
    # where a result leaves a hole there is no flow; the hole counts in alpha_iou
    values["epe"] = metrics.end_point_error(
        flow, torch.from_numpy(truth.flow)[None], mask=(seen & covered)[:, None]
    )
    values["visibility_f1"] = metrics.f1_score(
        torch.from_numpy(drawn.visible > 0.5)[None] & covered, seen, where=known
    )
    if case.parse is not None and truth.parse is not None:
        carried = _carry_labels(case.parse, flow) * covered
        values["parse_miou"] = metrics.mean_iou(
            torch.where(seen, carried, 0), torch.where(seen, torch.from_numpy(truth.parse), 0),
            classes=range(1, len(PARSE)),
        )  # fmt: skip
    return {name: float(value) for name, value in values.items()}


def _carry_labels(labels: np.ndarray, flow: torch.Tensor) -> torch.Tensor:
    """(1, H, W) labels of the photo at the nearest pixel that the flow points at."""
    height, width = labels.shape
    place = (pixel_grid(height, width) + flow)[0].round().long()
    x, y = place[0].clamp(0, width - 1), place[1].clamp(0, height - 1)
    return torch.from_numpy(labels)[y, x][None]


def _picture(rgb: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255


def _region(alpha: np.ndarray | None, size_hw: tuple[int, ...]) -> torch.Tensor:
    """(1, 1, H, W) bool: the person with a margin; everything where no matte is known."""
    if alpha is None:
        return torch.ones(1, 1, size_hw[0], size_hw[1], dtype=torch.bool)
    radius = max(2, round(MARGIN_SHARE * size_hw[0]))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    grown = cv2.dilate((alpha > 0.5).astype(np.uint8), kernel)
    return torch.from_numpy(grown > 0)[None, None]


def _target_box(case: Case, frame: int) -> np.ndarray:
    truth = case.truths.get(frame)
    alpha = None if truth is None else truth.alpha
    return _box(case.targets.xy[frame], case.targets.confidence[frame], alpha)


def _box(xy: np.ndarray, confidence: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """(4,) x0 y0 x1 y1 around a person, of the crop's proportions."""
    known = xy[(confidence > 0) & np.isfinite(xy).all(1)]
    if alpha is not None and (alpha > 0.5).any():
        rows, columns = np.nonzero(alpha > 0.5)
        known = np.array([[columns.min(), rows.min()], [columns.max(), rows.max()]])
    low, high = known.min(0), known.max(0)
    middle = (low + high) / 2
    height = 1.1 * max(high[1] - low[1], (high[0] - low[0]) * CROP_HW[0] / CROP_HW[1], 8)
    half = np.array([height * CROP_HW[1] / CROP_HW[0], height]) / 2
    return np.concatenate([middle - half, middle + half])


def _crop(rgb: np.ndarray, box: np.ndarray) -> torch.Tensor:
    """(1, 3, 256, 192) of a picture, the border repeated outside of it."""
    x0, y0, x1, y1 = (round(float(v)) for v in box)
    height, width = rgb.shape[:2]
    rows = np.clip(np.arange(y0, y1), 0, height - 1)
    columns = np.clip(np.arange(x0, x1), 0, width - 1)
    cut = np.ascontiguousarray(rgb[rows][:, columns])
    way = cv2.INTER_AREA if len(rows) > CROP_HW[0] else cv2.INTER_CUBIC
    return _picture(cv2.resize(cut, CROP_HW[::-1], interpolation=way))


def mean_of(rows: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each metric over rows, without those that could not be measured."""
    names = [n for n in METRICS if any(n in row for row in rows)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nothing to average: NaN
        return {n: float(np.nanmean([row.get(n, np.nan) for row in rows])) for n in names}
