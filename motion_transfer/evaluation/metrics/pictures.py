"""How far a picture is from the true one.

Axes: B pictures, H W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn import functional

from motion_transfer.errors import InputError
from motion_transfer.evaluation.features import FeatureNetwork

Window = Literal["gaussian", "uniform"]
MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

FIELD_SSIM: dict[str, dict] = {
    # compare_ssim(..., gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    # data_range=pred.max() - pred.min()) of GFLA, DPTN and CFLD, which call it SSIM_256
    "ssim_gfla_256": {"window": "gaussian", "size": 11, "sigma": 1.5, "range_of_first": True},
    # compare_ssim(..., win_size=51) of the same scripts, which call it SSIM
    "ssim_gfla": {"window": "uniform", "size": 51, "sample_covariance": True},
    # the first with sigma 1.2, of PIDM and PCDMs; scikit-image cuts the window at 3.5 sigma
    "ssim_pidm": {"window": "gaussian", "size": 9, "sigma": 1.2, "range_of_first": True},
}
"""What the field's evaluation scripts call SSIM, as arguments of `ssim`; never mix them."""


def l1(a: torch.Tensor, b: torch.Tensor, *, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Mean absolute difference.

    Args:
        a: (B, 3, H, W) in [0, 1].
        b: the same shape.
        mask: (B, 1, H, W) weights; None: all pixels.

    Returns:
        (B,); NaN where the mask is empty.
    """
    _check(a, b, mask)
    return _mean((a - b).abs(), mask)


def psnr(a: torch.Tensor, b: torch.Tensor, *, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Peak signal to noise ratio, 10 log10(1 / MSE), in dB.

    Args:
        a: (B, 3, H, W) in [0, 1].
        b: the same shape.
        mask: (B, 1, H, W) weights; None: all pixels.

    Returns:
        (B,); infinite for equal pictures, NaN where the mask is empty.
    """
    _check(a, b, mask)
    return -10 * torch.log10(_mean((a - b).square(), mask))


def ssim(
    a: torch.Tensor,
    b: torch.Tensor,
    *,
    mask: torch.Tensor | None = None,
    window: Window = "gaussian",
    size: int = 11,
    sigma: float = 1.5,
    sample_covariance: bool = False,
    range_of_first: bool = False,
) -> torch.Tensor:
    """Structural similarity (Wang et al., TIP 2004), K1 = 0.01, K2 = 0.03, no padding.

    Each colour channel on its own, only windows that lie wholly inside the picture. The default
    is the paper's: Gaussian window of 11 pixels, sigma 1.5, range 1.

    Args:
        a: (B, 3, H, W) in [0, 1].
        b: the same shape.
        mask: (B, 1, H, W) weights of the window's centres; None: all.
        window: form of the weights.
        size: of the window, pixels.
        sigma: of the Gaussian window, pixels.
        sample_covariance: divide by N - 1, not N.
        range_of_first: the range of values is what `a` spans, not 1; only to redo old figures.

    Returns:
        (B,); NaN where the mask is empty.
    """
    _check(a, b, mask)
    span = (a.amax((1, 2, 3)) - a.amin((1, 2, 3))).view(-1, 1, 1, 1) if range_of_first else 1.0
    taps = _taps(window, size, sigma, a)
    luminance, contrast = _ssim_maps(a, b, taps, span, sample_covariance)
    margin = size // 2
    inner = None if mask is None else mask[..., margin:-margin, margin:-margin]
    return _mean(luminance * contrast, inner)


def ms_ssim(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Multi-scale SSIM (Wang et al., Asilomar 2003): five scales, window of `ssim`'s default.

    Terms are averaged over colour channels, and negative ones set to zero, before the powers are
    taken, as torchmetrics does.

    Args:
        a: (B, 3, H, W) in [0, 1], at least 176 pixels each way.
        b: the same shape.

    Returns:
        (B,).
    """
    _check(a, b, None)
    if min(a.shape[-2:]) < 176:
        raise InputError(
            f"pictures must be at least 176 x 176 for five scales, got {tuple(a.shape[-2:])}"
        )
    taps = _taps("gaussian", 11, 1.5, a)
    result = a.new_ones(len(a))
    for scale, weight in enumerate(MS_WEIGHTS):
        luminance, contrast = _ssim_maps(a, b, taps, 1.0, False)
        last = scale == len(MS_WEIGHTS) - 1
        term = (luminance * contrast if last else contrast).mean((1, 2, 3))
        result = result * term.clamp_min(0) ** weight
        a, b = functional.avg_pool2d(a, 2), functional.avg_pool2d(b, 2)
    return result


def feature_distance(
    network: FeatureNetwork,
    a: torch.Tensor,
    b: torch.Tensor,
    *,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Squared distance of features that were scaled to unit length at each place.

    The form of LPIPS (Zhang et al., CVPR 2018) without its learned weights and with another
    network, so its values cannot be compared with LPIPS.

    Args:
        network: from `evaluation.features`.
        a: (B, 3, H, W) in [0, 1].
        b: the same shape.
        mask: (B, 1, H, W) weights; None: all pixels.

    Returns:
        (B,) the mean over the network's stages; NaN where the mask is empty.
    """
    _check(a, b, mask)
    return distance_of_features(network(a), network(b), mask=mask)


def distance_of_features(
    a: Sequence[torch.Tensor], b: Sequence[torch.Tensor], *, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """`feature_distance` of pictures whose features are known.

    Args:
        a: (B, C, h, w) per stage of the network.
        b: the same shapes.
        mask: (B, 1, H, W) weights; None: all pixels.

    Returns:
        (B,); NaN where the mask is empty.
    """
    stages = []
    for x, y in zip(a, b, strict=True):
        difference = functional.normalize(x) - functional.normalize(y)
        weights = (
            None
            if mask is None
            else functional.adaptive_avg_pool2d(mask, (x.shape[-2], x.shape[-1]))
        )
        stages.append(_mean(difference.square().sum(1, keepdim=True), weights))
    return torch.stack(stages).mean(0)


def _check(a: torch.Tensor, b: torch.Tensor, mask: torch.Tensor | None) -> None:
    for name, picture in (("a", a), ("b", b)):
        if picture.ndim != 4 or picture.shape[1] != 3:
            raise InputError(f"{name} must have shape (B, 3, H, W), got {tuple(picture.shape)}")
        if not picture.is_floating_point():
            raise InputError(f"{name} must be float in [0, 1], got {picture.dtype}; divide by 255")
        if picture.numel() and not (picture.min() >= -1e-4 and picture.max() <= 1 + 1e-4):
            raise InputError(
                f"{name} must lie in [0, 1], got {picture.min():g} to {picture.max():g}"
            )
    if a.shape != b.shape:
        raise InputError(f"both must have one shape, got {tuple(a.shape)} and {tuple(b.shape)}")
    if mask is not None and mask.shape != (len(a), 1, *a.shape[2:]):
        raise InputError(f"mask must be {(len(a), 1, *a.shape[2:])}, got {tuple(mask.shape)}")


def _mean(values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Mean of (B, C, H, W) over all but B, weighted by a mask (B, 1, H, W)."""
    if mask is None:
        return values.mean((1, 2, 3))
    return (values * mask).sum((1, 2, 3)) / (mask.sum((1, 2, 3)) * values.shape[1])


def _taps(window: Window, size: int, sigma: float, like: torch.Tensor) -> torch.Tensor:
    if size % 2 == 0 or size < 3 or size > min(like.shape[-2:]):
        raise InputError(
            f"the window must be odd and fit into {tuple(like.shape[-2:])}, got {size}"
        )
    taps = like.new_ones(size)
    if window == "gaussian":
        offset = torch.arange(size, dtype=like.dtype, device=like.device) - size // 2
        taps = torch.exp(-0.5 * (offset / sigma) ** 2)
    return taps / taps.sum()


def _ssim_maps(
    a: torch.Tensor,
    b: torch.Tensor,
    taps: torch.Tensor,
    span: torch.Tensor | float,
    sample_covariance: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Luminance term and contrast-structure term, (B, C, H - size + 1, W - size + 1)."""
    channels = a.shape[1]
    column = taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    row = taps.view(1, 1, 1, -1).expand(channels, 1, 1, -1)

    def mean(values: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(
            functional.conv2d(values, column, groups=channels), row, groups=channels
        )

    mean_a, mean_b = mean(a), mean(b)
    factor = 1.0
    if sample_covariance:
        count = len(taps) ** 2
        factor = count / (count - 1)
    variance_a = factor * (mean(a * a) - mean_a**2)
    variance_b = factor * (mean(b * b) - mean_b**2)
    covariance = factor * (mean(a * b) - mean_a * mean_b)
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    contrast = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return luminance, contrast
