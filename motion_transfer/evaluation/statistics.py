"""Tables of results: means with their spread, and paired comparisons."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.stats import bootstrap

from motion_transfer.evaluation.measure import METRICS
from motion_transfer.evaluation.results import Result

RESAMPLES = 2000
CONFIDENCE = 0.95
LEAST_CLIPS = 6  # of fewer, even all going one way is no surprise: 2 / 2^5 is above 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """A metric of one generator over clips.

    Args:
        mean: over the clips in which it could be measured.
        spread: standard deviation over clips; NaN for one.
        num: clips.
    """

    mean: float
    spread: float
    num: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two generators on the same clips.

    Args:
        difference: mean of the clips' differences, generator minus reference.
        low, high: 95 % bootstrap interval of that mean (Efron and Tibshirani, 1993, BCa);
            NaN with fewer than three clips.
        num: clips.
        verdict: `better`, `worse`, or `open` where the interval holds 0 or six clips are not there.
    """

    difference: float
    low: float
    high: float
    num: int
    verdict: str


def summarise(values: Iterable[float]) -> Summary:
    """Mean and spread of the values that are finite."""
    there = np.array([v for v in values if np.isfinite(v)])
    if len(there) == 0:
        return Summary(mean=float("nan"), spread=float("nan"), num=0)
    spread = float(there.std(ddof=1)) if len(there) > 1 else float("nan")
    return Summary(mean=float(there.mean()), spread=spread, num=len(there))


def compare(
    found: Sequence[float], reference: Sequence[float], *, better: str, seed: int = 0
) -> Comparison:
    """Compare two generators clip by clip.

    Args:
        found: values of the generator, one for each clip.
        reference: values of the reference for the same clips, in the same order.
        better: `less` or `more`.
        seed: of the resampling.
    """
    differences = np.asarray(found, np.float64) - np.asarray(reference, np.float64)
    differences = differences[np.isfinite(differences)]
    num = len(differences)
    if num == 0:
        nan = float("nan")
        return Comparison(difference=nan, low=nan, high=nan, num=0, verdict="open")
    low = high = float("nan")
    if num >= 3:
        if np.ptp(differences) == 0:
            low = high = float(differences[0])
        else:
            interval = bootstrap(
                (differences,), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE,
                rng=np.random.default_rng(seed),
            ).confidence_interval  # fmt: skip
            low, high = float(interval.low), float(interval.high)
    verdict = "open"
    if num >= LEAST_CLIPS and (low > 0 or high < 0):
        verdict = "better" if (low > 0) == (better == "more") else "worse"
    return Comparison(
        difference=float(differences.mean()), low=low, high=high, num=num, verdict=verdict
    )


def by_metric(results: Sequence[Result]) -> dict[str, dict[str, dict[str, float]]]:
    """Values by metric, generator and case; only metrics that were measured somewhere."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for name in METRICS:
        for result in results:
            if np.isfinite(result.values.get(name, np.nan)):
                table.setdefault(name, {}).setdefault(result.generator, {})[result.case] = (
                    result.values[name]
                )
    return table
