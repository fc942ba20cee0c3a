import cv2
import numpy as np
import pytest

from motion_transfer.pose import blazepose as module
from motion_transfer.pose.blazepose import Roi
from motion_transfer.pose.litert import cut_crop


@pytest.mark.parametrize(
    ("hips", "circle", "angle"),
    [
        ((50, 80), (50, 30), 0.0),  # upright
        ((50, 80), (100, 80), np.pi / 2),  # head to the right: turned clockwise
        ((50, 80), (0, 80), -np.pi / 2),
    ],
)
def test_roi_points_from_the_hips_to_the_head(hips, circle, angle):
    roi = Roi.around(np.array(hips, float), np.array(circle, float))
    assert roi.angle == pytest.approx(angle)
    assert roi.side_px == pytest.approx(2 * 1.25 * 50)
    # The top middle of the crop is where the head is.
    top = roi.crop_to_image() @ [127.5, 0, 1]
    towards = np.subtract(circle, hips) / 50
    assert (top - hips) / roi.side_px == pytest.approx(towards / 2, abs=0.01)


@pytest.mark.parametrize("scale", [0.7, 1.0, 2.5, 3.9, 6.3])
@pytest.mark.parametrize("angle", [0.0, 0.6])
def test_crop_keeps_pixel_centres(scale, angle):
    """Halving before the crop once shifted everything by half a pixel."""
    roi = Roi(700.0, 650.0, 256 * scale, angle)
    to_image = roi.crop_to_image()
    spot = to_image @ [150.0, 100.0, 1]
    y, x = np.mgrid[:1400, :1500]
    sigma = 4 * scale
    blob = 255 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * sigma**2))
    picture = np.repeat(blob[..., None], 3, axis=2).astype(np.uint8)
    crop = cut_crop(picture, to_image, 256)[..., 0]
    y, x = np.mgrid[:256, :256]
    mass = crop.astype(float)
    centre = np.array([(mass * x).sum(), (mass * y).sum()]) / mass.sum()
    assert centre == pytest.approx([150, 100], abs=0.15)


def test_refine_equals_the_loop_of_the_original():
    rng = np.random.default_rng(0)
    points = rng.uniform(-10, 266, (39, 2))
    heat = rng.normal(-1, 2, (64, 64, 39))
    expected = points.copy()
    for k, (px, py) in enumerate(points):
        cx, cy = int(px // 4), int(py // 4)
        if not (0 <= cx < 64 and 0 <= cy < 64):
            continue
        y0, y1, x0, x1 = max(cy - 3, 0), min(cy + 4, 64), max(cx - 3, 0), min(cx + 4, 64)
        q = 1 / (1 + np.exp(-heat[y0:y1, x0:x1, k]))
        if q.max() >= 0.5:
            yy, xx = np.mgrid[y0:y1, x0:x1]
            expected[k] = 4 * (q * xx).sum() / q.sum(), 4 * (q * yy).sum() / q.sum()
    assert module._refine(points, heat) == pytest.approx(expected)


def test_overlapping_detections_become_one_and_others_stay():
    rows = np.array([[0, 0, 10, 10, 1], [1, 0, 11, 10, 3], [50, 50, 60, 60, 7]], float)
    groups = module._weighted_nms(rows, np.array([0.9, 0.6, 0.8]))
    assert [score for score, _ in groups] == [0.9, 0.8]
    assert groups[0][1] == pytest.approx([0.4, 0, 10.4, 10, 1.8])
    assert groups[1][1] == pytest.approx(rows[2])


def test_noise_holds_nobody(blazepose):
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    assert blazepose.detect(noise) == []


def test_a_moved_and_turned_picture_gives_moved_and_turned_key_points(blazepose, media):
    rgb = cv2.imread(str(media / "photos" / "woman_apose_white.jpg"))[:, :, ::-1].copy()
    (detection,) = blazepose.detect(rgb)
    straight = blazepose.landmarks(rgb, detection.roi, mask=True)
    height = rgb.shape[0]
    turned_rgb = np.ascontiguousarray(np.rot90(rgb, k=-1))  # (x, y) -> (height - 1 - y, x)
    x, y, side, angle = detection.roi
    turned = blazepose.landmarks(turned_rgb, Roi(height - 1 - y, x, side, angle + np.pi / 2))
    expected = np.stack([height - 1 - straight.xy[:, 1], straight.xy[:, 0]], axis=-1)
    assert turned.xy == pytest.approx(expected, abs=2)
    world = straight.world[:, [1, 0, 2]] * [-1, 1, 1]
    assert turned.world == pytest.approx(world, abs=0.02)
    assert turned.score > 0.9
    # World and picture agree on up and down, left and right.
    for axis in range(2):
        assert np.corrcoef(straight.world[:, axis], straight.xy[:, axis])[0, 1] > 0.95
    mask = straight.mask(rgb.shape[:2])
    assert mask.shape == rgb.shape[:2]
    chest = straight.xy[[11, 12, 23, 24]].mean(axis=0).astype(int)
    assert mask[chest[1], chest[0]] > 0.9
    assert mask[:, :100].max() < 0.1


def test_no_mask_unless_asked_for(blazepose):
    landmarks = blazepose.landmarks(np.zeros((64, 64, 3), np.uint8), Roi(32, 32, 64, 0))
    assert landmarks.score < 0.5
    with pytest.raises(ValueError, match="there is no mask"):
        landmarks.mask((64, 64))
