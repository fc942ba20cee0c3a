"""Smoothing of flows along the motion."""

import torch

from motion_transfer.generator.temporal import blend_carried


def flutter(num: int, sigma_px: float) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [sigma_px * torch.randn(4000, 2, generator=generator) for _ in range(num)]


def test_flutter_falls() -> None:
    # bug: foreshortening noise makes the cloth boil
    own, *others = flutter(5, 0.5)
    strong = blend_carried(own, others, 1.0, 5.0).std()
    mild = blend_carried(own, others, 0.5, 5.0).std()
    assert strong < 0.5 * own.std()
    assert strong < mild < own.std()


def test_outliers_are_left_out() -> None:
    # bug: a neighbour frame whose arm was elsewhere drags the sleeve over the chest
    own, *others = flutter(5, 0.1)
    far = others[0] + 80.0
    assert torch.allclose(blend_carried(own, [far], 1.0, 5.0), own, atol=1e-4)
    assert torch.allclose(
        blend_carried(own, [far, *others[1:]], 1.0, 5.0),
        blend_carried(own, others[1:], 1.0, 5.0),
        atol=1e-4,
    )


def test_without_strength_nothing_happens() -> None:
    # bug: a setting of 0 still smooths
    own, *others = flutter(3, 1.0)
    assert torch.equal(blend_carried(own, others, 0.0, 5.0), own)


def test_what_agrees_stays() -> None:
    # bug: smoothing lags or shrinks a motion that all frames agree on
    own = torch.rand(100, 2) * 300
    assert torch.allclose(blend_carried(own, [own.clone()] * 4, 1.0, 5.0), own, atol=1e-3)
