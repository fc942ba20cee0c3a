import cv2
import numpy as np
import pytest

from motion_transfer.errors import InputError, NoPersonError, WeightsError
from motion_transfer.person.matte import (
    NET_SIZE_PX,
    estimate_matte,
    matte_from_mask,
    open_u2net,
    refine_matte,
)
from motion_transfer.pose.skeleton import INDEX, JOINTS


def disc(size: int = 200, radius: float = 60, soft: float = 3):
    """A dark disc with a soft edge in front of a light, slightly graded backdrop."""
    y, x = np.mgrid[:size, :size]
    alpha = np.clip((radius - np.hypot(x - size / 2, y - size / 2)) / soft + 0.5, 0, 1)
    backdrop = np.stack([200 + x * 0.1, 210 + y * 0.1, 220 + 0 * x], -1)
    photo = np.array([60, 40, 90]) * alpha[..., None] + backdrop * (1 - alpha[..., None])
    return np.uint8(photo), alpha.astype(np.float32)


class FakeNet:
    """Stands in for U2-Net: what is dark is salient, at 320x320 and blurred."""

    class _Name:
        name = "x"

    def __init__(self):
        self.runs = 0

    def get_inputs(self):
        return [self._Name]

    def get_outputs(self):
        return [self._Name]

    def run(self, names, feed):
        self.runs += 1
        dark = (feed["x"][0].mean(0) < -0.3).astype(np.float32)
        assert dark.shape == (NET_SIZE_PX, NET_SIZE_PX)
        return [cv2.GaussianBlur(dark, (0, 0), 3)[None, None]]


def two_people():
    """Two dark figures side by side, with mask and joints of the left one."""
    photo = np.full((240, 320, 3), 230, np.uint8)
    mask = np.zeros((240, 320), np.float32)
    for x in (90, 230):
        cv2.rectangle(photo, (x - 25, 40), (x + 25, 200), (50, 40, 60), -1)
    cv2.rectangle(mask, (65, 40), (115, 200), 1, -1)
    joints, confidence = np.full((len(JOINTS), 2), np.nan, np.float32), np.zeros(len(JOINTS))
    for name, xy in {
        "left_shoulder": (110, 70),
        "right_shoulder": (70, 70),
        "left_hip": (105, 130),
        "right_hip": (75, 130),
        "left_knee": (105, 165),
        "left_ankle": (105, 195),
    }.items():
        joints[INDEX[name]], confidence[INDEX[name]] = xy, 0.9
    return photo, mask, joints, confidence


@pytest.mark.parametrize("blur_px", [3, 5])
def test_a_blurred_matte_is_drawn_sharp_again(blur_px):
    photo, truth = disc()
    coarse = cv2.GaussianBlur(truth, (0, 0), blur_px)
    before = np.abs(coarse - truth).mean()
    after = np.abs(refine_matte(photo, coarse, band_per_height=1 / 20) - truth).mean()
    assert after < 0.35 * before


def test_an_edge_without_contrast_keeps_the_coarse_matte():
    photo, truth = np.full((200, 200, 3), 240, np.uint8), disc()[1]
    refined = refine_matte(photo, cv2.GaussianBlur(truth, (0, 0), 1))
    assert np.abs(refined - truth).mean() < 0.01


def test_a_coloured_backdrop_is_taken_out_of_hair():
    truth = disc()[1]
    photo = np.uint8(truth[..., None] * (60, 40, 30) + (1 - truth[..., None]) * (210, 70, 150))
    photo[80:90, 95:105] = (205, 72, 145)  # a gap in the hair
    photo[110:120, 95:105] = (230, 225, 220)  # a white collar
    photo[110:120, 75:85] = (200, 140, 110)  # skin
    alpha = refine_matte(photo, truth, hair_zone=np.ones(truth.shape, bool))
    assert alpha[85, 100] < 0.1
    assert alpha[115, 100] == alpha[115, 80] == 1
    assert refine_matte(photo, truth)[85, 100] == 1  # elsewhere than in hair it may be a print


def test_the_fast_matte_follows_the_photo():
    photo, truth = disc()
    shifted = np.roll(cv2.GaussianBlur(truth, (0, 0), 1.5), 1, axis=1)
    assert np.abs(matte_from_mask(photo, shifted) - truth).mean() < 0.01


def test_matte_with_a_network_that_sees_the_dark():
    photo, truth = disc()
    net = FakeNet()
    alpha = estimate_matte(photo, session=net)
    assert alpha.dtype == np.float32 and alpha.shape == truth.shape
    assert np.abs(alpha - truth).mean() < 0.01
    assert net.runs == 2  # once on the photo, once on the crop


def test_only_the_chosen_person_is_cut_out():
    photo, mask, joints, confidence = two_people()
    alpha = estimate_matte(
        photo, person_mask=mask, joints_xy=joints, joints_confidence=confidence, session=FakeNet()
    )
    assert alpha[60:180, 70:110].min() > 0.99
    assert alpha[:, 160:].max() == 0
    assert estimate_matte(photo, session=FakeNet())[120, 230] > 0.99  # without a hint: both


def test_people_who_touch_are_cut_apart():
    photo, mask, joints, confidence = two_people()
    photo[100:110, 110:210] = (50, 40, 60)  # holding hands
    alpha = estimate_matte(
        photo, person_mask=mask, joints_xy=joints, joints_confidence=confidence, session=FakeNet()
    )
    assert alpha[60:180, 70:110].min() > 0.9
    assert alpha[:, 200:].max() == 0


def pale_arm():
    """The left figure with a forearm and hand that `FakeNet` does not see."""
    photo, mask, joints, confidence = two_people()
    for picture, value in ((photo, (215, 180, 160)), (mask, 1)):
        cv2.rectangle(picture, (22, 96), (64, 108), value, -1)
    for name, x in {
        "right_elbow": 60, "right_wrist": 38, "right_pinky": 27, "right_index": 26,
        "right_thumb": 30,
    }.items():  # fmt: skip
        joints[INDEX[name]], confidence[INDEX[name]] = (x, 102), 1
    return photo, mask, joints, confidence


def test_a_hand_that_the_network_lost_is_restored():
    photo, mask, joints, confidence = pale_arm()
    alpha = estimate_matte(
        photo, person_mask=mask, joints_xy=joints, joints_confidence=confidence, session=FakeNet()
    )
    assert alpha[98:107, 24:60].min() > 0.8
    assert alpha[:92, :60].max() < 0.1
    assert alpha[112:, :60].max() < 0.1


@pytest.mark.parametrize("witness", ["mask", "joints"])
def test_a_hand_is_restored_only_where_mask_and_joints_agree(witness):
    photo, mask, joints, confidence = pale_arm()
    if witness == "mask":
        mask[:, :64] = 0
    else:
        confidence[[INDEX["right_elbow"], INDEX["right_wrist"]]] = 0.6
    alpha = estimate_matte(
        photo, person_mask=mask, joints_xy=joints, joints_confidence=confidence, session=FakeNet()
    )
    assert alpha[98:107, 24:56].max() < 0.1


@pytest.mark.parametrize("witness", [None, "mask", "joints"])
def test_a_shoe_is_whole_where_mask_and_joints_agree(witness):
    # bug: the tip of a shoe that is hardly told from the floor is half transparent or gone
    photo, mask, joints, confidence = two_people()
    cv2.rectangle(photo, (100, 196), (122, 206), (50, 40, 60), -1)
    for picture, value in ((photo, (215, 180, 160)), (mask, 1)):
        cv2.rectangle(picture, (123, 196), (132, 206), value, -1)
    cv2.rectangle(mask, (100, 196), (122, 206), 1, -1)
    for name, xy in {"left_ankle": (105, 195), "left_foot_index": (129, 202)}.items():
        joints[INDEX[name]], confidence[INDEX[name]] = xy, 0.9
    if witness == "mask":
        mask[:, 123:] = 0
    elif witness == "joints":
        confidence[INDEX["left_foot_index"]] = 0.6
    alpha = estimate_matte(
        photo, person_mask=mask, joints_xy=joints, joints_confidence=confidence, session=FakeNet()
    )
    tip = alpha[199:205, 125:130]
    assert tip.mean() > 0.9 if witness is None else tip.mean() < 0.5
    assert alpha[:, 140:].max() < 0.1


def test_a_network_that_finds_something_else_is_reported():
    photo, mask, _, _ = two_people()
    photo[:, :160] = 230
    with pytest.warns(UserWarning, match="U2-Net did not find the person"):
        estimate_matte(photo, person_mask=mask, session=FakeNet())


def test_the_same_photo_gives_the_same_matte():
    photo, _ = disc()
    once, again = (estimate_matte(photo, session=FakeNet()) for _ in range(2))
    assert np.array_equal(once, again)


def test_an_empty_photo_has_no_person():
    with pytest.raises(NoPersonError, match="nothing stands out"):
        estimate_matte(np.full((80, 60, 3), 230, np.uint8), session=FakeNet())
    with pytest.raises(NoPersonError, match="person_mask must show a person"):
        matte_from_mask(np.zeros((80, 60, 3), np.uint8), np.zeros((80, 60)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rgb": np.zeros((8, 8, 3))}, r"rgb must be uint8 \(H, W, 3\)"),
        ({"person_mask": np.zeros((4, 4))}, r"person_mask must have the photo's shape"),
        ({"joints_xy": np.zeros((1, 33, 2))}, r"joints_xy must have shape \(33, 2\)"),
        (
            {"joints_xy": np.zeros((33, 2)), "joints_confidence": np.zeros(17)},
            r"joints_confidence must have shape \(33,\)",
        ),
    ],
)
def test_wrong_shapes_are_refused(arguments, message):
    rgb = arguments.pop("rgb", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match=message):
        estimate_matte(rgb, session=FakeNet(), **arguments)


def test_a_missing_network_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such U2-Net file"):
        open_u2net(tmp_path / "none.onnx")


@pytest.mark.slow
def test_u2net_finds_a_drawn_figure():
    try:
        session = open_u2net(num_threads=2)
    except WeightsError as error:
        pytest.skip(f"U2-Net is not here: {error}")
    photo, truth = disc(300, 90, 2)
    assert np.abs(estimate_matte(photo, session=session) - truth).mean() < 0.02
