"""Smoothing of flows over time, without lag.

A plain moving average of a backward flow lags the motion. Here the flow of a neighbouring frame
is first carried to the present one along the target's own motion: with m(x) the place that the
surface point at x has in the other frame, and s_k(x) the photo position of x in frame k, the
carried position is s_k(m(x)). For a body that moves rigidly it equals s_t(x) exactly, however fast
it moves; what is averaged out is the flow's own flutter (foreshortening noise, blends).
Neighbours that disagree are left out (robust weights).

C2F-FWN's flow temporal consistency (Wei et al., AAAI 2021) is the same relation as a loss.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def blend_carried(
    own: torch.Tensor, carried: Sequence[torch.Tensor], strength: float, tolerance_px: float
) -> torch.Tensor:
    """Average photo positions over time where they agree.

    Args:
        own: (..., 2) photo positions s_t(x).
        carried: the same points' positions carried from neighbouring frames, each (..., 2).
        strength: 0 keeps `own`, 1 weighs agreeing neighbours like the frame itself.
        tolerance_px: a neighbour that differs by this much has 1/e of its weight.

    Returns:
        (..., 2).
    """
    total, weights = own, torch.ones_like(own[..., :1])
    for other in carried:
        weight = strength * agreement(own, other, tolerance_px)
        total, weights = total + weight * other, weights + weight
    return total / weights


def agreement(
    own: torch.Tensor, other: torch.Tensor, tolerance_px: float, *, dim: int = -1
) -> torch.Tensor:
    """1 where two positions are the same, 1/e where they differ by the tolerance; `dim` is 1 long.

    Args:
        own: positions, x and y along `dim`.
        other: the same.
        tolerance_px: see above.
        dim: the axis of x and y.
    """
    return torch.exp(-((other - own) ** 2).sum(dim, keepdim=True) / tolerance_px**2)
