"""Overlaps, flow, key points and flicker against scikit-learn-like definitions and known truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional import f1_score, jaccard_index

from motion_transfer.evaluation import metrics
from motion_transfer.pose.skeleton import INDEX


def random_labels(seed: int, classes: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(classes, (2, 40, 30), generator=generator)


def test_overlaps_as_torchmetrics_has_them():
    a, b = random_labels(0, 4), random_labels(1, 4)
    for k in range(2):
        expected = jaccard_index(a[k], b[k], task="multiclass", num_classes=4, average="macro")
        assert float(metrics.mean_iou(a, b, classes=range(4))[k]) == pytest.approx(float(expected))
        one, two = a[k : k + 1] > 1, b[k : k + 1] > 1
        expected = jaccard_index(one, two, task="binary")
        assert float(metrics.iou(one, two)[0]) == pytest.approx(float(expected))
        expected = f1_score(one, two, task="binary")
        assert float(metrics.f1_score(one, two)[0]) == pytest.approx(float(expected))


def test_f1_counts_only_where_it_is_asked():
    truth = torch.zeros(1, 4, 4, dtype=torch.bool)
    truth[0, :2] = True
    found = truth.clone()
    found[0, 3] = True
    where = torch.ones_like(truth)
    where[0, 3] = False
    assert float(metrics.f1_score(found, truth)[0]) == pytest.approx(2 * 8 / (12 + 8))
    assert float(metrics.f1_score(found, truth, where=where)[0]) == 1


def test_a_class_that_nobody_shows_does_not_count():
    a = torch.zeros(1, 4, 4, dtype=torch.long)
    a[0, 0] = 2
    assert float(metrics.mean_iou(a, a, classes=range(9))[0]) == 1


def test_end_point_error():
    truth = torch.zeros(1, 2, 8, 8)
    flow = truth + torch.tensor([3.0, 4.0])[:, None, None]
    flow[..., 0] = 100
    mask = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    mask[..., 0] = False
    assert float(metrics.end_point_error(flow, truth, mask=mask)[0]) == pytest.approx(5)
    assert torch.isnan(metrics.end_point_error(flow, truth, mask=~mask & mask)[0])


def person(shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    xy = np.random.default_rng(0).uniform(0, 100, (3, 33, 2))
    for side, x in (("left", 60.0), ("right", 40.0)):
        xy[:, INDEX[f"{side}_shoulder"]] = x, 20
        xy[:, INDEX[f"{side}_hip"]] = x, 70
    return xy + shift, np.ones((3, 33))


def test_key_points_are_measured_in_pixels_and_torsos():
    true_xy, sure = person()
    found_xy = true_xy + np.array([6.0, 8.0])
    found = metrics.keypoint_distance(found_xy, sure, true_xy, sure)
    assert found.px.tolist() == pytest.approx([10] * 3)
    assert found.torsos.tolist() == pytest.approx([10 / 50] * 3)
    assert found.missing.tolist() == [0, 0, 0]
    assert metrics.torso_px(true_xy).tolist() == pytest.approx([50] * 3)


def test_what_is_not_found_is_missing_and_not_zero():
    true_xy, sure = person()
    found_xy, confidence = true_xy.copy(), sure.copy()
    confidence[0, INDEX["left_knee"]] = 0.1
    found_xy[0, INDEX["left_knee"]] = 1e6  # so it must not be in the mean
    confidence[1] = 0  # nobody
    found = metrics.keypoint_distance(found_xy, confidence, true_xy, sure)
    assert found.missing.tolist() == pytest.approx([1 / 12, 1, 0])
    assert found.px[0] == 0 and np.isnan(found.px[1])


def texture(height: int = 64, width: int = 80) -> torch.Tensor:
    rng = torch.Generator().manual_seed(1)
    small = torch.rand(1, 3, height // 8, width // 8, generator=rng)
    return torch.nn.functional.interpolate(small, (height, width), mode="bicubic").clamp(0, 1)


def test_motion_is_no_flicker():
    now = texture()
    then = torch.roll(now, (2, 3), (2, 3))  # moves 3 right and 2 down
    flow = torch.tensor([3.0, 2.0])[None, :, None, None].expand(1, 2, 64, 80)
    inside = torch.zeros(1, 1, 64, 80, dtype=torch.bool)
    inside[..., 8:-8, 8:-8] = True
    assert float(metrics.warping_error(now, then, flow, mask=inside)) < 1e-5
    still = float(metrics.warping_error(now, then, 0 * flow, mask=inside))
    assert still == pytest.approx(float((now - then).abs()[..., 8:-8, 8:-8].mean()), rel=1e-4)
    assert float(metrics.warping_error(now, then + 0.1, flow, mask=inside)) == pytest.approx(0.1)


def test_estimated_flow_points_the_right_way_and_knows_what_is_hidden():
    now = (texture(128, 160)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    then = np.roll(now, 4, 1)
    there, back = metrics.estimate_flow(now, then), metrics.estimate_flow(then, now)
    middle = there[:, 32:-32, 32:-32]
    assert np.median(middle[0]) == pytest.approx(4, abs=0.3)
    assert np.median(middle[1]) == pytest.approx(0, abs=0.3)
    agree = metrics.flow_agreement(*(torch.from_numpy(f)[None] for f in (there, back)))
    assert agree[0, 0, 32:-32, 32:-32].float().mean() > 0.95
    wrong = metrics.flow_agreement(*(torch.from_numpy(f)[None] for f in (there, there)))
    assert wrong[0, 0, 32:-32, 32:-32].float().mean() < 0.05


def test_background_change_looks_where_nobody_is():
    now, then = texture(), texture()
    then[..., :20, :] += 0.2
    still = torch.ones(1, 1, 64, 80, dtype=torch.bool)
    still[..., :20, :] = False
    assert float(metrics.background_change(now, then, still=still)) == 0
    assert float(metrics.background_change(now, then, still=~still)) == pytest.approx(0.2)
