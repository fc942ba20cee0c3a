"""Distances of sets of pictures against scipy and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from motion_transfer.errors import InputError, WeightsError
from motion_transfer.evaluation import metrics


def features(seed: int, shift: float, num: int = 300) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(9).normal(size=(12, 12)) / 4
    return rng.normal(size=(num, 12)) @ mixing + shift


class Given(nn.Module):
    """Takes features for pictures: torchmetrics then has nothing but its formula left."""

    num_features = 12

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_frechet_distance_as_scipy_has_it():
    a, b = features(0, 0.0), features(1, 0.2)
    root = scipy.linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(
        np.cov(a.T) + np.cov(b.T) - 2 * root
    )
    found = metrics.frechet_distance(
        metrics.FeatureStatistics.of(a), metrics.FeatureStatistics.of(b)
    )
    assert found == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_as_torchmetrics_has_it():
    a, b = features(0, 0.0), features(1, 0.2)
    theirs = FrechetInceptionDistance(feature=Given(), input_img_size=(12,))
    theirs.set_dtype(torch.float64)
    theirs.update(torch.from_numpy(a), real=True)
    theirs.update(torch.from_numpy(b), real=False)
    ours = metrics.frechet_distance(
        metrics.FeatureStatistics.of(a), metrics.FeatureStatistics.of(b)
    )
    assert ours == pytest.approx(float(theirs.compute()), rel=1e-6)


def test_kernel_distance_as_torchmetrics_has_it():
    a, b = features(0, 0.0, 80), features(1, 0.3, 80)
    theirs = KernelInceptionDistance(feature=Given(), subsets=1, subset_size=80)
    theirs.set_dtype(torch.float64)
    theirs.update(torch.from_numpy(a), real=True)
    theirs.update(torch.from_numpy(b), real=False)
    assert metrics.kernel_distance(a, b) == pytest.approx(float(theirs.compute()[0]), rel=1e-5)


def test_no_picture_is_lost_between_batches():
    a, b = features(0, 0.0, 77), features(1, 0.2, 77)
    parts = [metrics.FeatureStatistics.of(a[k : k + 10]) for k in range(0, 77, 10)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    assert total.count == 77
    other = metrics.FeatureStatistics.of(b)
    whole = metrics.frechet_distance(metrics.FeatureStatistics.of(a), other)
    assert metrics.frechet_distance(total, other) == pytest.approx(whole)


def test_sets_of_one_kind_are_near():
    near = metrics.kernel_distance(features(0, 0.0), features(1, 0.0))
    far = metrics.kernel_distance(features(0, 0.0), features(1, 0.5))
    assert abs(near) < 0.05 * far


def test_one_picture_is_no_set():
    with pytest.raises(InputError, match="both sets need two pictures, got 1 and 300"):
        metrics.kernel_distance(features(0, 0.0, 1), features(1, 0.0))


@pytest.mark.parametrize("name", ["fid", "inception_score", "lpips"])
def test_published_metrics_never_use_other_weights(name, tmp_path, monkeypatch):
    """Without packages or weights a line says what is missing; nothing else takes the name."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match=rf"{name} needs (the package|its published weights)"):
        metrics.Published(name)
