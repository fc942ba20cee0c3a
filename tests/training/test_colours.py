"""People in other colours."""

import torch

from motion_transfer.training.colours import other_colours


def people(num: int) -> torch.Tensor:
    """The same picture of each of them, twice."""
    one = torch.randint(256, (1, 1, 3, 6, 5), generator=torch.Generator().manual_seed(0))
    return one.expand(num, 2, -1, -1, -1).byte()


def test_a_person_has_the_same_colours_in_all_pictures() -> None:
    # bug: the photo's shirt is red, the target's blue
    rgb = people(32)
    found = other_colours(rgb, 1.0, torch.Generator().manual_seed(1))
    assert found.shape == rgb.shape and found.dtype == torch.uint8
    assert torch.equal(found[:, 0], found[:, 1])
    assert len({bytes(f.numpy().tobytes()) for f in found}) == len(rgb)


def test_as_many_as_wanted() -> None:
    rgb = people(200)
    for probability, low, high in ((0.0, 0, 0), (0.5, 70, 130), (1.0, 200, 200)):
        found = other_colours(rgb, probability, torch.Generator().manual_seed(2))
        changed = (found != rgb).flatten(1).any(1).sum()
        assert low <= changed <= high
