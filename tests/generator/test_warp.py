"""The only sampler of images."""

import pytest
import torch

from motion_transfer.generator.warp import pixel_grid, resize_flow, sample, warp


def noise(height: int = 17, width: int = 23) -> torch.Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(17, 23), (64, 64), (1, 5), (511, 3)])
def test_no_flow_changes_nothing(size) -> None:
    # bug: first-order-model's identity warp blurs: 31 dB after one pass
    image = noise(*size)
    assert torch.allclose(warp(image, torch.zeros(2, 2, *size)), image, atol=2e-5)


@pytest.mark.parametrize(("dx", "dy"), [(1, 0), (0, 1), (-3, 2), (5, -4)])
def test_whole_pixels_shift_exactly(dx: int, dy: int) -> None:
    # bug: x and y exchanged, the wrong sign, or half a pixel off
    image = noise()
    flow = torch.tensor([dx, dy]).float()[None, :, None, None].expand(2, 2, 17, 23)
    out = warp(image, flow)
    ys = slice(max(0, -dy), min(17, 17 - dy))
    xs = slice(max(0, -dx), min(23, 23 - dx))
    moved = image[..., ys.start + dy : ys.stop + dy, xs.start + dx : xs.stop + dx]
    assert torch.allclose(out[..., ys, xs], moved, atol=2e-5)


def test_outside() -> None:
    # bug: the picture's edge smears into what lies outside
    image, flow = noise(), torch.full((2, 2, 17, 23), 100.0)
    assert not warp(image, flow).any()
    corner = warp(image, flow, padding="border")[..., 0, 0]
    assert torch.allclose(corner, image[..., -1, -1], atol=1e-5)


def test_positions_are_pixel_centres() -> None:
    # bug: half a pixel of drift between key points and pixels
    image = noise()
    at = torch.tensor([[4.0, 9.0], [4.5, 9.0]]).T[None, :, None].expand(2, 2, 1, 2)
    found = sample(image, at)[:, :, 0]
    assert torch.allclose(found[..., 0], image[..., 9, 4], atol=1e-5)
    assert torch.allclose(found[..., 1], (image[..., 9, 4] + image[..., 9, 5]) / 2, atol=1e-5)
    assert pixel_grid(3, 5)[0, :, 2, 4].tolist() == [4.0, 2.0]


def test_resized_flow_moves_a_resized_picture_alike() -> None:
    # bug: vectors keep the length of the old resolution
    flow = torch.zeros(1, 2, 8, 10)
    flow[:, 0], flow[:, 1] = 2.0, -1.0
    big = resize_flow(flow, (32, 20))
    assert big.shape == (1, 2, 32, 20)
    assert torch.allclose(big[:, 0], torch.tensor(4.0))
    assert torch.allclose(big[:, 1], torch.tensor(-4.0))
    assert torch.equal(resize_flow(flow, (8, 10)), flow)
