"""Picture metrics against scikit-image and torchmetrics, and the field's known mistakes."""

from __future__ import annotations

import numpy as np
import pytest
import skimage
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.nn import functional
from torchmetrics.functional import image as reference

from motion_transfer.errors import InputError
from motion_transfer.evaluation import metrics


def pictures(height: int = 180, width: int = 192) -> tuple[torch.Tensor, torch.Tensor]:
    """A photo and a blurred, noisy copy, (2, 3, H, W), the second pair darker."""
    rgb = torch.from_numpy(skimage.data.astronaut()[:height, :width]).permute(2, 0, 1)[None] / 255
    noise = torch.randn(rgb.shape, generator=torch.Generator().manual_seed(0)) * 0.03
    other = (functional.avg_pool2d(rgb, 3, 1, 1, count_include_pad=False) + noise).clamp(0, 1)
    return torch.cat([rgb, 0.6 * rgb]).double(), torch.cat([other, 0.6 * other]).double()


def as_numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.permute(1, 2, 0).numpy()


def test_l1_and_psnr():
    a, b = pictures()
    expected = [peak_signal_noise_ratio(as_numpy(y), as_numpy(x), data_range=1)
                for x, y in zip(a, b, strict=True)]  # fmt: skip
    torch.testing.assert_close(metrics.psnr(a, b), torch.tensor(expected).double())
    torch.testing.assert_close(metrics.l1(a, b)[0], (a[0] - b[0]).abs().mean())


def test_ssim_as_scikit_image_has_it():
    a, b = pictures()
    found = metrics.ssim(a, b)
    for k in range(2):
        expected = structural_similarity(
            as_numpy(a[k]), as_numpy(b[k]), data_range=1, channel_axis=2, gaussian_weights=True,
            sigma=1.5, use_sample_covariance=False,
        )  # fmt: skip
        assert float(found[k]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ssim_gfla_256", {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}),
        ("ssim_gfla", {"win_size": 51}),
        ("ssim_pidm", {"gaussian_weights": True, "sigma": 1.2, "use_sample_covariance": False}),
    ],
)
def test_what_the_field_calls_ssim(name, options):
    a, b = (p * 0.9 for p in pictures())  # so that the range of values is not 1
    found = metrics.ssim(a, b, **metrics.FIELD_SSIM[name])
    for k in range(2):
        first, second = as_numpy(a[k]), as_numpy(b[k])
        span = first.max() - first.min() if "sigma" in options else 1.0
        expected = structural_similarity(first, second, data_range=span, channel_axis=2, **options)
        assert float(found[k]) == pytest.approx(expected, abs=1e-9)


def test_ms_ssim_as_torchmetrics_has_it():
    a, b = pictures(192, 208)
    expected = reference.multiscale_structural_similarity_index_measure(
        a, b, gaussian_kernel=True, sigma=1.5, kernel_size=11, data_range=1.0, reduction="none",
        normalize="relu",
    )  # fmt: skip
    # on the coarsest scale torchmetrics keeps windows that reach over the mirrored border
    torch.testing.assert_close(metrics.ms_ssim(a, b), expected.double(), atol=4e-3, rtol=0)


def test_feature_distance_is_that_of_unit_vectors():
    a, b = (p.float() for p in pictures())

    def network(rgb: torch.Tensor) -> list[torch.Tensor]:
        return [rgb + 0.1, functional.avg_pool2d(rgb + 0.1, 2)]  # no vector is 0

    expected = 0.0
    for x, y in zip(network(a), network(b), strict=True):
        cosine = functional.cosine_similarity(x, y)  # |u - v|^2 = 2 - 2 cos
        expected = expected + (2 - 2 * cosine).mean((1, 2)) / 2
    torch.testing.assert_close(
        metrics.feature_distance(network, a, b), expected, atol=1e-5, rtol=1e-4
    )


def test_a_mask_leaves_the_rest_out():
    a, b = pictures()
    mask = torch.zeros(2, 1, *a.shape[2:], dtype=a.dtype)
    mask[..., 20:100, 30:110] = 1
    inside = (..., slice(20, 100), slice(30, 110))
    torch.testing.assert_close(metrics.psnr(a, b, mask=mask), metrics.psnr(a[inside], b[inside]))
    torch.testing.assert_close(metrics.l1(a, b, mask=mask), metrics.l1(a[inside], b[inside]))
    spoilt = b.clone()
    spoilt[..., 150:, :] = 0.5  # further from the mask than half a window
    torch.testing.assert_close(metrics.ssim(a, spoilt, mask=mask), metrics.ssim(a, b, mask=mask))
    assert torch.isnan(metrics.psnr(a, b, mask=0 * mask)).all()


@pytest.mark.parametrize("metric", [metrics.l1, metrics.psnr, metrics.ssim])
def test_equal_pictures_are_equal(metric):
    a, _ = pictures()
    best = {metrics.l1: 0.0, metrics.psnr: float("inf"), metrics.ssim: 1.0}[metric]
    assert metric(a, a).tolist() == pytest.approx([best, best])


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (torch.zeros(3, 8, 8), torch.zeros(3, 8, 8), r"a must have shape \(B, 3, H, W\)"),
        (torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 9, 8), "both must have one shape"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.zeros(1, 3, 8, 8), "must be float in"),
        (
            torch.full((1, 3, 8, 8), 255.0),
            torch.zeros(1, 3, 8, 8),
            r"must lie in \[0, 1\], got 255",
        ),
    ],
)
def test_what_is_no_picture_is_refused(a, b, message):
    with pytest.raises(InputError, match=message):
        metrics.psnr(a, b)


def test_a_window_larger_than_the_picture_is_refused():
    a = torch.zeros(1, 3, 40, 40)
    with pytest.raises(InputError, match="window must be odd and fit into"):
        metrics.ssim(a, a, **metrics.FIELD_SSIM["ssim_gfla"])
    with pytest.raises(InputError, match="at least 176 x 176"):
        metrics.ms_ssim(a, a)


class TestMistakesOfTheField:
    """Each is planted here as it is made elsewhere; ours gives another, the right, answer."""

    def test_differences_of_bytes_overflow(self):
        truth = np.full((1, 8, 8, 3), 10, np.uint8)
        found = np.full((1, 8, 8, 3), 20, np.uint8)
        theirs = 10 * np.log10(255**2 / np.mean((truth - found) ** 2))  # 246 squared is 100
        wrong = np.full((1, 8, 8, 3), 26, np.uint8)
        # 26 - 10 = 16, whose square wraps round to 0: a wrong picture counts as perfect
        with np.errstate(divide="ignore"):
            assert np.isinf(10 * np.log10(255**2 / np.mean((truth - wrong) ** 2)))
        assert theirs > 0
        a, b = (torch.from_numpy(p).permute(0, 3, 1, 2) / 255 for p in (truth, wrong))
        assert float(metrics.psnr(a, b)) == pytest.approx(20 * np.log10(255 / 16))

    def test_white_borders_are_no_success(self):
        """Padding 176 x 256 to a square with white, as PATN's script does, counts as agreement."""
        a, b = (p[:1, :, :176, :120] for p in pictures())
        padded = [functional.pad(p, (40, 40), value=1.0) for p in (a, b)]
        true = float(metrics.ssim(a, b))
        assert float(metrics.ssim(*padded)) > true + 0.05  # what the mistake is worth
        mask = functional.pad(torch.ones(1, 1, 176, 120, dtype=a.dtype), (40, 40))
        inner = functional.pad(torch.ones(1, 1, 166, 110, dtype=a.dtype), (45, 45, 5, 5))
        assert float(metrics.l1(*padded, mask=mask)) == pytest.approx(float(metrics.l1(a, b)))
        # windows that reach into the border are not the person's
        assert float(metrics.ssim(*padded, mask=inner)) == pytest.approx(true)

    def test_the_last_batch_counts(self):
        """GFLA's loops over batches of 64 leave the rest out; ours is one value a picture."""
        a, b = pictures()
        a, b = a[:1].repeat(5, 1, 1, 1), b[:1].repeat(5, 1, 1, 1)
        b[4] = 1 - a[4]  # the only bad picture is in the last, partial batch
        batches = [metrics.l1(x, y) for x, y in zip(a.split(2), b.split(2), strict=True)]
        assert torch.cat(batches).shape == (5,)
        torch.testing.assert_close(torch.cat(batches), metrics.l1(a, b))
        theirs = torch.cat(batches[: len(a) // 2]).mean()
        assert float(metrics.l1(a, b).mean()) > 2 * float(theirs)
