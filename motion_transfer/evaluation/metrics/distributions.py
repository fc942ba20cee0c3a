"""How far a set of pictures is from another set, by the features of a frozen network.

The formulas are those of FID and KID; the network is not Inception, so the values are called
Frechet and kernel distance and can only be compared with others of the same network.

Axes: N pictures, C features.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.linalg

from motion_transfer.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureStatistics:
    """Sums over pictures from which mean and covariance follow; memory does not grow with N.

    Args:
        count: pictures.
        total: (C,) float64 sum of their features.
        products: (C, C) float64 sum of outer products.
    """

    count: int
    total: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> FeatureStatistics:
        """Of features (N, C)."""
        if features.ndim != 2:
            raise InputError(f"features must have shape (N, C), got {features.shape}")
        wide = features.astype(np.float64)
        return cls(count=len(wide), total=wide.sum(0), products=wide.T @ wide)

    def __add__(self, other: FeatureStatistics) -> FeatureStatistics:
        return FeatureStatistics(
            count=self.count + other.count,
            total=self.total + other.total,
            products=self.products + other.products,
        )

    @property
    def mean(self) -> np.ndarray:
        """(C,)."""
        return self.total / self.count

    @property
    def covariance(self) -> np.ndarray:
        """(C, C), divided by N - 1."""
        return (self.products - self.count * np.outer(self.mean, self.mean)) / (self.count - 1)


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """Squared Frechet distance of two Gaussians (Heusel et al., NeurIPS 2017, equation 6).

    |m_a - m_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2)). Sets of fewer pictures than features give
    values that are far too large; compare only sets of the same size.

    Raises:
        InputError: a set has fewer than two pictures.
    """
    if min(a.count, b.count) < 2:
        raise InputError(f"both sets need two pictures, got {a.count} and {b.count}")
    # the trace of a root is the sum of the roots of the eigenvalues, which are real and >= 0
    values = scipy.linalg.eigvals(a.covariance @ b.covariance)
    root_trace = np.sqrt(np.clip(values.real, 0, None)).sum()
    between = np.square(a.mean - b.mean).sum()
    return float(between + np.trace(a.covariance) + np.trace(b.covariance) - 2 * root_trace)


def kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy (Binkowski et al., ICLR 2018), kernel
    (x.y / C + 1)^3.

    Its expectation does not depend on the number of pictures, so it suits small sets.

    Args:
        a: (N, C) features.
        b: (M, C) features.

    Returns:
        Around 0 for sets of one kind; may be a little negative.

    Raises:
        InputError: a set has fewer than two pictures.
    """
    if min(len(a), len(b)) < 2:
        raise InputError(f"both sets need two pictures, got {len(a)} and {len(b)}")
    x, y = a.astype(np.float64), b.astype(np.float64)

    def kernel(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        return (p @ q.T / p.shape[1] + 1) ** 3

    within = [
        (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (kernel(x, x), kernel(y, y))
    ]
    return float(sum(within) - 2 * kernel(x, y).mean())
