"""How well each metric agrees with a second implementation, on a photo and distorted copies of it.

python -m benchmarks.metrics

MS-SSIM differs on purpose: torchmetrics keeps windows that reach over the mirrored border on the
coarsest scale, ours has whole windows only.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.linalg
import skimage
import torch
from rich.console import Console
from rich.table import Table
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.nn import functional
from torchmetrics.functional import f1_score, jaccard_index
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
from torchmetrics.image.kid import KernelInceptionDistance

from motion_transfer.evaluation import metrics

NUM = 12


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """Crops of a photo and their blurred, noisy, darker copies, (12, 3, 192, 192) float64."""
    rgb = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1).double() / 255
    rng = torch.Generator().manual_seed(0)
    true, found = [], []
    for k in range(NUM):
        y, x = (int(v) for v in torch.randint(0, 320, (2,), generator=rng))
        crop = rgb[None, :, y : y + 192, x : x + 192]
        blurred = functional.avg_pool2d(crop, 2 * (k % 4) + 1, 1, k % 4, count_include_pad=False)
        noise = 0.01 * k * torch.randn(crop.shape, generator=rng, dtype=crop.dtype)
        true.append(crop)
        found.append((0.9 * blurred + noise).clamp(0, 1))
    return torch.cat(found), torch.cat(true)


class _Given(torch.nn.Module):
    """Takes features for pictures."""

    num_features = 12

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def agreement() -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Metric, second implementation, its values, and ours."""
    a, b = pictures()
    pairs = [(x.permute(1, 2, 0).numpy(), y.permute(1, 2, 0).numpy())
             for x, y in zip(a, b, strict=True)]  # fmt: skip
    theirs = [peak_signal_noise_ratio(y, x, data_range=1) for x, y in pairs]
    yield "psnr", "scikit-image", np.array(theirs), metrics.psnr(a, b).numpy()
    gaussian = {"gaussian_weights": True, "use_sample_covariance": False}
    for name, ours, options in (
        ("ssim", {}, {**gaussian, "sigma": 1.5, "data_range": 1}),
        ("ssim_gfla", metrics.FIELD_SSIM["ssim_gfla"], {"win_size": 51, "data_range": 1}),
        ("ssim_gfla_256", metrics.FIELD_SSIM["ssim_gfla_256"], {**gaussian, "sigma": 1.5}),
        ("ssim_pidm", metrics.FIELD_SSIM["ssim_pidm"], {**gaussian, "sigma": 1.2}),
    ):
        theirs = [
            structural_similarity(x, y, channel_axis=2, **({"data_range": np.ptp(x)} | options))
            for x, y in pairs
        ]
        yield name, "scikit-image", np.array(theirs), metrics.ssim(a, b, **ours).numpy()
    expected = multiscale_structural_similarity_index_measure(
        a, b, data_range=1.0, sigma=1.5, kernel_size=11, reduction="none"
    )
    yield "ms_ssim", "torchmetrics", expected.numpy(), metrics.ms_ssim(a, b).numpy()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 12)), rng.normal(0.2, 1.2, size=(400, 12))
    root = scipy.linalg.sqrtm(np.cov(x.T) @ np.cov(y.T)).real
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(
        np.cov(x.T) + np.cov(y.T) - 2 * root
    )
    found = metrics.frechet_distance(*(metrics.FeatureStatistics.of(f) for f in (x, y)))
    yield "frechet_distance", "scipy", np.array([expected]), np.array([found])
    kernel = KernelInceptionDistance(feature=_Given(), subsets=1, subset_size=400)
    kernel.set_dtype(torch.float64)
    kernel.update(torch.from_numpy(x), real=True)
    kernel.update(torch.from_numpy(y), real=False)
    ours = np.array([metrics.kernel_distance(x, y)])
    yield "kernel_distance", "torchmetrics", kernel.compute()[0].numpy()[None], ours
    labels = torch.from_numpy(rng.integers(0, 5, (2, NUM, 64, 64)))
    expected = [
        float(jaccard_index(p, q, task="multiclass", num_classes=5))
        for p, q in zip(*labels, strict=True)
    ]
    ours = metrics.mean_iou(labels[0], labels[1], classes=range(5)).numpy()
    yield "mean_iou", "torchmetrics", np.array(expected), ours
    masks = labels > 2
    expected = [float(f1_score(p, q, task="binary")) for p, q in zip(*masks, strict=True)]
    yield "f1_score", "torchmetrics", np.array(expected), metrics.f1_score(*masks).numpy()


def main() -> None:
    """Print the table."""
    table = Table()
    for title in ("metric", "second implementation", "smallest", "largest", "largest difference"):
        table.add_column(title, justify="left" if title[0] == "m" or title[1] == "e" else "right")
    for name, second, theirs, ours in agreement():
        difference = np.abs(theirs - ours).max()
        table.add_row(
            name, second, f"{ours.min():.4g}", f"{ours.max():.4g}", f"{difference:.1e}"
        )  # fmt: skip
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
