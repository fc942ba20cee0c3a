"""The order of samples."""

import itertools

import puppets
import pytest
import torch

from motion_transfer.errors import InputError
from motion_transfer.synth.dataset import to_tensors
from motion_transfer.training.config import DataConfig, TrainConfig
from motion_transfer.training.data import ShardOrder, ShardSamples, batches, held_out_batches


def take(order: ShardOrder, count: int) -> list[int]:
    return list(itertools.islice(order, count))


def test_every_sample_once_in_an_epoch() -> None:
    order = take(ShardOrder([5, 3, 4, 4, 6, 2], seed=0), 48)
    assert sorted(order[:24]) == sorted(order[24:]) == list(range(24))
    assert order[:24] != order[24:]


def test_start_goes_on_where_a_run_stopped() -> None:
    # bug: a resumed run sees the first samples again
    counts = [5, 3, 4]
    whole = take(ShardOrder(counts, seed=1), 40)
    assert take(ShardOrder(counts, seed=1, start=17), 23) == whole[17:]


def test_processes_share_the_samples() -> None:
    counts = [5, 3, 4]
    whole = take(ShardOrder(counts, seed=1), 24)
    halves = [take(ShardOrder(counts, seed=1, rank=r, world_size=2), 12) for r in (0, 1)]
    assert [x for pair in zip(*halves, strict=True) for x in pair] == whole


def test_soft_rims_show_nothing_of_what_was_behind_them() -> None:
    # bug: networks learn halos in the colours of the renders' backdrops
    sample, views = puppets.make_sample(3), []
    for backdrop in (0, 255):
        tensors = to_tensors(puppets.with_soft_rims(sample, backdrop=backdrop))
        rim = ((tensors["alpha"] > 40) & (tensors["alpha"] < 200)).expand_as(tensors["rgb"])
        views.append(tensors["rgb"][rim].float())
    assert (views[0] - views[1]).abs().mean() < 10


@pytest.mark.parametrize("settings", [{}, {"workers": 2}, {"resident": True}])
def test_batches_from_any_step(shards, settings) -> None:
    config = TrainConfig(data=DataConfig(shards=str(shards), batch_size=3, **settings))

    def some(start: int) -> list[torch.Tensor]:
        stream = batches(config, start=start, rank=0, world_size=1, device=torch.device("cpu"))
        return [batch["rgb"] for batch in itertools.islice(stream, 6 - start)]

    whole, rest = some(0), some(4)
    config = TrainConfig(data=DataConfig(shards=str(shards), batch_size=3))
    assert all(torch.equal(a, b) for a, b in zip(whole, some(0), strict=True))  # as without them
    assert all(torch.equal(a, b) for a, b in zip(whole[4:], rest, strict=True))
    assert whole[0].shape == (3, 3, 3, *puppets.SIZE_HW)


def test_samples_are_those_of_the_shards(shards) -> None:
    samples = ShardSamples(shards)
    assert len(samples) == 8
    sample = puppets.make_sample(5, frames=2)
    assert torch.equal(samples[5]["alpha"][:, 0], torch.from_numpy(sample.alpha))
    flow = torch.from_numpy(sample.flow).permute(0, 3, 1, 2)
    assert torch.allclose(samples[5]["flow"], flow, atol=0.05)


def test_too_few_held_out(shards) -> None:
    config = TrainConfig(data=DataConfig(shards=str(shards), held_out=str(shards)))
    with pytest.raises(InputError, match="must hold at least 64 samples, got 8"):
        next(held_out_batches(config, batch_size=4, num=64, device=torch.device("cpu")))
