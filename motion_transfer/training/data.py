"""Batches in an order that depends on the seed alone, from any step on.

`ShardBatches` gives exactly the batches that a run that was not stopped would have seen next.
Rendered batches go on with the scenes that follow; what a replay buffer held is rendered anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from motion_transfer.errors import InputError
from motion_transfer.synth.dataset import RenderedPairs, ReplayBuffer, make_loader, to_tensors
from motion_transfer.synth.scene import SceneSettings
from motion_transfer.synth.shards import list_shards, read_shard
from motion_transfer.training.config import TrainConfig
from motion_transfer.training.datasets.pictures import PicturePairs
from motion_transfer.training.drawings import DrawnFrames
from motion_transfer.training.sample_files import WINDOW, SampleFiles, Tensors

UNUSED = ("uv", "depth")


class ShardSamples(SampleFiles):
    """Samples of a folder of shards by number.

    Args:
        folder: of ``*.npz`` shards.

    Raises:
        FileNotFoundError: the folder has no shards.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(list_shards(folder))

    def read(self, path: Path) -> list[Tensors]:
        """The samples of a shard."""
        return [_slim(to_tensors(s)) for s in read_shard(path)]


def _slim(sample: Tensors) -> Tensors:
    """Without what training does not use; flow in half precision (1/32 pixel on disk)."""
    return {
        n: t.half() if n in ("flow", "flow_back") else t
        for n, t in sample.items()
        if n not in UNUSED
    }


class ShardOrder(Sampler[int]):
    """Endless random order in which samples of a few shards are mixed, from any position on.

    Args:
        counts: samples per shard.
        seed: of the order.
        start: position of the first sample, over all processes.
        rank: of this process among `world_size`, which take turns.
        world_size: processes.
    """

    def __init__(
        self, counts: list[int], *, seed: int, start: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        self.counts = counts
        self.seed = seed
        self.start = start
        self.rank = rank
        self.world_size = world_size

    def __iter__(self) -> Iterator[int]:
        total, place = sum(self.counts), self.start + self.rank
        epoch, order = -1, np.zeros(0, np.int64)
        while True:
            if place // total != epoch:
                epoch = place // total
                order = self._epoch(epoch)
            yield int(order[place % total])
            place += self.world_size

    def _epoch(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, epoch])
        starts = np.cumsum([0, *self.counts])
        shards = rng.permutation(len(self.counts))
        pieces = []
        for first in range(0, len(shards), WINDOW):
            window = shards[first : first + WINDOW]
            samples = np.concatenate([np.arange(starts[s], starts[s + 1]) for s in window])
            pieces.append(rng.permutation(samples))
        return np.concatenate(pieces)


def batches(
    config: TrainConfig, *, start: int, rank: int, world_size: int, device: torch.device
) -> Iterator[Tensors]:
    """Endless batches on the device.

    Args:
        config: the run.
        start: step of the first batch.
        rank: of this process.
        world_size: processes.
        device: where the batches go.
    """
    if not config.data.assets:
        samples: SampleFiles | PicturePairs
        if config.data.shards:
            samples = ShardSamples(config.data.shards)
        elif config.data.drawings:
            samples = DrawnFrames(config.data.drawings)
        else:
            assert config.data.pictures is not None
            samples = PicturePairs(config.data.pictures)
        order = ShardOrder(
            samples.counts, seed=config.seed, start=start * config.data.batch_size * world_size,
            rank=rank, world_size=world_size,
        )  # fmt: skip
        if config.data.resident:
            assert isinstance(samples, SampleFiles)
            yield from _resident(samples, order, batch_size=config.data.batch_size, device=device)
            return
        loader = DataLoader(
            samples, batch_size=config.data.batch_size, sampler=order,
            num_workers=config.data.workers, pin_memory=device.type == "cuda",
            persistent_workers=config.data.workers > 0,
            # forked workers are killed when the parent has used Numba's threads before
            multiprocessing_context="spawn" if config.data.workers else None,
        )  # fmt: skip
        for batch in loader:
            yield _to(batch, device)
    else:
        yield from _rendered(config, start=start, rank=rank, world_size=world_size, device=device)


def _resident(
    samples: SampleFiles, order: ShardOrder, *, batch_size: int, device: torch.device
) -> Iterator[Tensors]:
    """The batches that a loader would give, of samples that are all on the device already."""
    held: Tensors = {}
    first = 0
    for path in samples.paths:  # file by file, or memory would hold everything twice
        found = samples.read(path)
        for name in found[0]:
            stacked = torch.stack([s[name] for s in found])
            if name not in held:
                held[name] = stacked.new_empty((len(samples), *stacked.shape[1:]), device=device)
            held[name][first : first + len(found)] = stacked.to(device)
        first += len(found)
    numbers = iter(order)
    while True:
        index = torch.tensor(list(itertools.islice(numbers, batch_size)), device=device)
        batch = {name: tensor[index] for name, tensor in held.items()}
        yield {n: t.float() if t.dtype == torch.float16 else t for n, t in batch.items()}


def _rendered(
    config: TrainConfig, *, start: int, rank: int, world_size: int, device: torch.device
) -> Iterator[Tensors]:
    data = config.data
    assert data.assets is not None
    seen = int(start * data.batch_size * world_size / (data.reuse if data.replay else 1))
    settings = SceneSettings(num_targets=data.frames)
    pairs = RenderedPairs(
        data.assets, seed=config.seed, settings=settings, start=seen, rank=rank,
        world_size=world_size,
    )  # fmt: skip
    loader = iter(make_loader(pairs, batch_size=data.batch_size, num_workers=data.workers))
    if not data.replay:
        for batch in loader:
            yield _to(batch, device)
    buffer = ReplayBuffer(data.replay, device=device)
    generator = torch.Generator().manual_seed(config.seed + 1000 * start + rank)
    owed = 0.0
    while True:
        while owed <= 0 or len(buffer) < min(2 * data.batch_size, data.replay):
            buffer.add({n: t for n, t in next(loader).items() if n not in UNUSED})
            owed += data.reuse
        owed -= 1
        yield buffer.draw(data.batch_size, generator)


def held_out_batches(
    config: TrainConfig, *, batch_size: int, num: int, device: torch.device
) -> Iterator[Tensors]:
    """The first `num` held-out samples.

    Raises:
        InputError: there are fewer.
    """
    folder = config.data.held_out
    assert folder is not None
    samples: SampleFiles = DrawnFrames(folder) if config.data.drawings else ShardSamples(folder)
    if len(samples) < num:
        raise InputError(f"{folder} must hold at least {num} samples, got {len(samples)}")
    for first in range(0, num, batch_size):
        chosen = [samples[k] for k in range(first, min(first + batch_size, num))]
        stacked = {n: torch.stack([s[n] for s in chosen]) for n in chosen[0]}
        yield _to(stacked, device)


def _to(batch: Tensors, device: torch.device) -> Tensors:
    return {n: t.to(device, non_blocking=True) for n, t in batch.items() if n not in UNUSED}
