"""Metrics: pure functions, one value per picture, so that no mean hides how it was taken.

Pictures are float (B, 3, H, W) in [0, 1]; anything else is refused, so 8-bit arithmetic cannot
overflow here. Where a mask is given, only its pixels count. Nothing is padded, dropped or rounded;
means over pictures are the caller's.
"""

from motion_transfer.evaluation.metrics.distributions import (
    FeatureStatistics,
    frechet_distance,
    kernel_distance,
)
from motion_transfer.evaluation.metrics.files import (
    audio_offset_seconds,
    fps_error,
    frame_count_error,
)
from motion_transfer.evaluation.metrics.identity import FaceEmbedder, cosine_similarity
from motion_transfer.evaluation.metrics.labels import end_point_error, f1_score, iou, mean_iou
from motion_transfer.evaluation.metrics.pictures import (
    FIELD_SSIM,
    distance_of_features,
    feature_distance,
    l1,
    ms_ssim,
    psnr,
    ssim,
)
from motion_transfer.evaluation.metrics.poses import keypoint_distance, torso_px
from motion_transfer.evaluation.metrics.published import Published
from motion_transfer.evaluation.metrics.stability import (
    background_change,
    estimate_flow,
    flow_agreement,
    warping_error,
)

__all__ = [
    "FIELD_SSIM",
    "FaceEmbedder",
    "FeatureStatistics",
    "Published",
    "audio_offset_seconds",
    "background_change",
    "cosine_similarity",
    "distance_of_features",
    "end_point_error",
    "estimate_flow",
    "f1_score",
    "feature_distance",
    "flow_agreement",
    "fps_error",
    "frame_count_error",
    "frechet_distance",
    "iou",
    "kernel_distance",
    "keypoint_distance",
    "l1",
    "mean_iou",
    "ms_ssim",
    "psnr",
    "ssim",
    "torso_px",
    "warping_error",
]
