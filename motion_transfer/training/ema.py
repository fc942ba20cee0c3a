"""A running mean of the weights: what is evaluated and what ships."""

from __future__ import annotations

import torch
from torch import nn


class Ema:
    """Exponential moving average of a module's parameters.

    Args:
        module: whose parameters are followed.
        decay: of the mean once training is under way; at step t at most (1 + t) / (10 + t).
    """

    def __init__(self, module: nn.Module, *, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {decay}")
        self.decay = decay
        self.mean = {n: p.detach().clone() for n, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take the parameters after step number `step` (from 0) into the mean."""
        decay = min(self.decay, (1 + step) / (10 + step))
        parameters = dict(module.named_parameters())
        names = list(self.mean)
        torch._foreach_lerp_(
            [self.mean[n] for n in names], [parameters[n].detach() for n in names], 1 - decay
        )

    @torch.no_grad()
    def copy_to(self, module: nn.Module) -> None:
        """Put the mean into a module."""
        for name, parameter in module.named_parameters():
            parameter.copy_(self.mean[name])
