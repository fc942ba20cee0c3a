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
        effect: the mean gain over its standard deviation from one driving clip to another (Cohen's
            d_z, 1988), above 0 where it is better; NaN with fewer than two of them.
    """

    difference: float
    low: float
    high: float
    num: int
    verdict: str
    effect: float


def summarise(values: Iterable[float]) -> Summary:
    """Mean and spread of the values that are finite."""
    there = np.array([v for v in values if np.isfinite(v)])
    if len(there) == 0:
        return Summary(mean=float("nan"), spread=float("nan"), num=0)
    spread = float(there.std(ddof=1)) if len(there) > 1 else float("nan")
    return Summary(mean=float(there.mean()), spread=spread, num=len(there))


def compare(
    found: Sequence[float],
    reference: Sequence[float],
    *,
    better: str,
    driving: Sequence[str] | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare two generators clip by clip.

    Args:
        found: values of the generator, one for each clip.
        reference: values of the reference for the same clips, in the same order.
        better: `less` or `more`.
        driving: what drives each of them, where some have it in common; they count as one in
            `effect`.
        seed: of the resampling.
    """
    differences = np.asarray(found, np.float64) - np.asarray(reference, np.float64)
    there = np.isfinite(differences)
    differences = differences[there]
    num = len(differences)
    if num == 0:
        nan = float("nan")
        return Comparison(difference=nan, low=nan, high=nan, num=0, verdict="open", effect=nan)
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
    names = np.arange(num) if driving is None else np.asarray(driving)[there]
    gains = [differences[names == name].mean() for name in np.unique(names)]
    return Comparison(
        difference=float(differences.mean()), low=low, high=high, num=num, verdict=verdict,
        effect=_effect(np.array(gains) * (1 if better == "more" else -1)),
    )  # fmt: skip


def _effect(gains: np.ndarray) -> float:
    spread = float(gains.std(ddof=1)) if len(gains) > 1 else 0.0
    return float(gains.mean()) / spread if spread > 0 else float("nan")


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
