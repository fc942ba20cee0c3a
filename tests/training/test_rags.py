"""Outlines as torn as those of cut-out photos."""

from __future__ import annotations

import torch

from motion_transfer.training.rags import tear_rims


def discs(batch: int = 6) -> torch.Tensor:
    """Drawings (B, 5, 96, 96) of a striped disc."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    alpha = ((30 - (x - 48).hypot(y - 48)) + 0.5).clamp(0, 1)
    stripes = 0.5 + 0.5 * (x / 2).sin()
    drawn = torch.stack([stripes * alpha, alpha, 0 * alpha, alpha, alpha])
    return drawn.expand(batch, -1, -1, -1)


def tear(probability: float, seed: int = 0) -> torch.Tensor:
    return tear_rims(
        discs(), probability=probability, generator=torch.Generator().manual_seed(seed)
    )


def test_outlines_are_torn_in_places_and_nothing_else_changes() -> None:
    torn, plain = tear(1.0), discs()
    changed = (torn - plain).abs().amax(1)
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    away = (x - 48).hypot(y - 48)
    assert changed[:, away < 20].max() < 1e-3  # bug: the pattern of a shirt is smeared as well
    assert changed[:, away > 42].max() < 1e-3
    along = (away - 30).abs() < 3
    assert (changed[:, along] > 0.2).float().mean() > 0.1
    for sector in (x < 48) & (y < 48), (x > 48) & (y < 48), (x < 48) & (y > 48):
        assert (changed[:, along & sector] < 0.02).float().mean() > 0.1


def test_how_many_are_torn_and_how_is_repeatable() -> None:
    assert (tear(0.0) - discs()).abs().max() < 1e-5
    torn = (tear(0.5) - discs()).abs().amax((1, 2, 3)) > 0.05
    assert 0 < torn.sum() < len(torn)
    assert torch.equal(tear(0.5), tear(0.5)) and not torch.equal(tear(1.0), tear(1.0, seed=1))
