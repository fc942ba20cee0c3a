"""Pasting a crop into the frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from motion_transfer.generator.paste import Nodes, Place, paste_numba, paste_torch

CROP_HW = (32, 24)
NODE_HW = (16, 12)


def nodes(dx: np.ndarray | float, dy: np.ndarray | float, *, zoom: float, num: int = 1) -> Nodes:
    """Nodes that look `dx, dy` photo pixels away; a crop pixel is `zoom` frame pixels."""
    y, x = np.meshgrid(*(np.arange(n) * 2 + 0.5 for n in NODE_HW), indexing="ij")
    at = np.stack([(x + 0.5) * zoom - 0.5 + dx, (y + 0.5) * zoom - 0.5 + dy])
    slopes = np.zeros((num, 4, *NODE_HW))
    slopes[:, 0] = slopes[:, 3] = 1
    return Nodes(
        torch.tensor(np.repeat(at[None], num, 0)).float(), torch.tensor(slopes).float(),
        torch.full((num, *NODE_HW), 1 / num), torch.zeros(num, *NODE_HW).long(),
    )  # fmt: skip


def place(zoom: float, box_xyxy: tuple[int, int, int, int], agree_px: float = 3.0) -> Place:
    x0, y0, x1, y1 = box_xyxy
    start = tuple((v + 0.5) / zoom - 0.5 for v in (x0, y0))
    return Place((start[0], start[1]), 1 / zoom, (y1 - y0, x1 - x0), agree_px)


def both(
    maps: torch.Tensor, at: Nodes, photos: np.ndarray, painted: torch.Tensor, where: Place
) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, 5) drawn and (h, w, 2) places, by the fused loop and by torch, which must agree."""
    height, width = photos.shape[1:3]
    pixels = np.concatenate([np.zeros((1, 4), np.uint8), photos.reshape(-1, 4)])
    boxes = np.array([
        [[1 + s * height * width, 0, 0, height, width], [0, 0, 0, 0, 0]]
        for s in range(len(photos))
    ])  # layer 1 is empty  # fmt: skip
    canvas = np.empty((*where.size_hw, 5), np.float32)
    found = np.empty((*where.size_hw, 2), np.float32)
    paste_numba(
        canvas, found, maps.permute(1, 2, 0).contiguous().numpy(),
        at.positions.permute(0, 2, 3, 1).contiguous().numpy(),
        at.slopes.permute(0, 2, 3, 1).contiguous().numpy(), at.shares.numpy(),
        at.layers.numpy(), pixels, boxes,
        painted.permute(1, 2, 0).contiguous().numpy(), where.start_xy, where.scale,
        where.agree_px, where.sharpness,
    )  # fmt: skip
    drawn, there = paste_torch(
        maps, at, torch.from_numpy(pixels).float() / 255, torch.from_numpy(boxes), painted, where
    )
    shown = canvas[..., 3] > 0
    assert np.abs(drawn.permute(1, 2, 0).numpy() - canvas).max() < 2e-3
    assert np.abs(there.permute(1, 2, 0).numpy() - found)[shown].max(initial=0) < 0.02
    return canvas, found


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (1, height, width, 4), np.uint8)
    pixels[..., 3] = 255
    return pixels


def all_shown(logit: float = 9.0, gate: float = 1.0) -> torch.Tensor:
    return torch.stack([torch.full(CROP_HW, logit), torch.full(CROP_HW, gate)])


@pytest.mark.parametrize("zoom", [1.0, 3.0, 0.5])
def test_a_shift_copies_the_photos_own_pixels(zoom: float) -> None:
    # bug: half a pixel is lost between crop, node and frame, and the copy is blurred
    picture = photo(120, 100)
    box = (4, 6, int(20 * zoom), int(28 * zoom)) if zoom >= 1 else (1, 2, 10, 14)
    where = place(zoom, box)
    drawn, there = both(all_shown(), nodes(5, -2, zoom=zoom), picture,
                        torch.zeros(4, *where.size_hw), where)  # fmt: skip
    x0, y0, x1, y1 = box
    wanted = picture[0, y0 - 2 : y1 - 2, x0 + 5 : x1 + 5, :3] / 255
    assert y0 >= 2 and np.abs(drawn[..., :3] - wanted).max() < 5e-3
    assert np.allclose(there[0, 0], (x0 + 5, y0 - 2), atol=1e-3)


def test_no_streak_between_two_limbs() -> None:
    # bug: along the border of an arm before the chest everything between the two is smeared
    zoom = 4.0
    left = np.arange(NODE_HW[1]) < 6
    picture = np.zeros((1, 128, 400, 4), np.uint8)
    picture[..., :3] = (0, 255, 0)  # what lies between the two
    picture[:, :, :100] = picture[:, :, 200:] = (200, 200, 200, 255)
    where = place(zoom, (0, 0, 96, 128))
    drawn, _ = both(all_shown(), nodes(np.where(left, 0, 250)[None], 0, zoom=zoom), picture,
                    torch.zeros(4, *where.size_hw), where)  # fmt: skip
    assert np.abs(drawn[..., :3] - 200 / 255).max() < 0.02


def test_a_turned_limb_is_not_cut_into_tiles() -> None:
    # bug: nodes that do not know how their flow goes on, each a flat shift
    zoom = 4.0
    base = nodes(0, 0, zoom=zoom)
    turned = base._replace(
        positions=torch.stack([base.positions[:, 1], 200 - base.positions[:, 0]], 1),
        slopes=torch.tensor([0.0, 1, -1, 0])[None, :, None, None].expand(1, 4, *NODE_HW).clone(),
    )
    y, x = np.mgrid[:260, :260]
    picture = np.stack([x, y, x, np.full_like(x, 255)], -1).clip(0, 255).astype(np.uint8)[None]
    where = place(zoom, (8, 8, 80, 100))
    drawn, there = both(all_shown(), turned, picture, torch.zeros(4, *where.size_hw), where)
    yy, xx = np.mgrid[8:100, 8:80]
    assert np.abs(there - np.stack([yy, 200 - xx], -1)).max() < 0.05
    assert np.abs(drawn[..., :2] * 255 - there).max() < 0.6


def test_the_matte_is_the_outline_where_it_is_near() -> None:
    # bug: at 1080 lines the outline is as soft as a crop pixel is large
    zoom = 4.0
    picture = photo(128, 96)
    picture[:, :, 50:, 3] = 0
    ramp = (12.5 - torch.arange(24.0)).expand(CROP_HW) * 2  # the networks' edge: x = 12.5, or 51.5
    where = place(zoom, (0, 0, 96, 128))
    maps = torch.stack([ramp, torch.ones(CROP_HW)])
    nothing = torch.zeros(4, *where.size_hw)
    sharp, _ = both(maps, nodes(0, 0, zoom=zoom), picture, nothing, where)
    assert sharp[:, 40:49, 3].min() > 0.97 and sharp[:, 51:, 3].max() < 0.03
    far = picture.copy()
    far[..., 3] = 255  # the matte says all is person: the networks have the word
    wide, _ = both(maps, nodes(0, 0, zoom=zoom), far, nothing, where)
    assert wide[:, 64:, 3].max() < 0.02
    maps[1] = 0  # no photo shows it, something else paints
    paint = torch.ones_like(nothing) * 0.5
    paint[3] = 1
    painted, _ = both(maps, nodes(0, 0, zoom=zoom), picture, paint, where)
    assert painted[:, :46, 3].min() > 0.9 and painted[:, 58:, 3].max() < 0.1
    assert np.abs(painted[..., :3] - 0.5 * painted[..., 3:4]).max() < 1e-3


def test_where_nothing_can_be_painted_the_copy_stays() -> None:
    # bug: holes where neither a photo nor the puppet has the pixel
    where = place(1.0, (2, 2, 20, 20))
    picture = photo(40, 40)
    drawn, _ = both(all_shown(gate=0.0), nodes(0, 0, zoom=1.0), picture,
                    torch.zeros(4, *where.size_hw), where)  # fmt: skip
    assert np.abs(drawn[..., :3] - picture[0, 2:20, 2:20, :3] / 255).max() < 5e-3


def test_photos_are_mixed_by_their_shares() -> None:
    # bug: the second photo is never looked at, or weighs twice
    where = place(1.0, (2, 2, 20, 20))
    two = np.concatenate([photo(40, 40), photo(40, 40, seed=1)])
    at = nodes(0, 0, zoom=1.0, num=2)
    at.shares[0], at.shares[1] = 0.25, 0.75
    drawn, _ = both(all_shown(), at, two, torch.zeros(4, *where.size_hw), where)
    wanted = (0.25 * two[0] + 0.75 * two[1])[2:20, 2:20, :3] / 255
    assert np.abs(drawn[..., :3] - wanted).max() < 5e-3


def test_the_border_of_two_layers_is_no_staircase() -> None:
    # bug: every node decides for the square about it
    zoom = 8.0
    where = place(zoom, (0, 0, 192, 256))
    at = nodes(0, 0, zoom=zoom)
    row, column = np.mgrid[: NODE_HW[0], : NODE_HW[1]]
    at.layers[0] = torch.from_numpy((row + column > 12).astype(np.int64))  # beyond it is nothing
    drawn, _ = both(all_shown(), at, photo(256, 192), torch.zeros(4, *where.size_hw), where)
    edge = drawn[64:160, :, 3].argmin(1)  # first column without a pixel, row by row
    fit = np.polyfit(np.arange(96), edge, 1)
    assert fit[0] == pytest.approx(-1, abs=0.1)
    assert np.abs(edge - np.polyval(fit, np.arange(96))).max() < 0.3 * 2 * zoom
