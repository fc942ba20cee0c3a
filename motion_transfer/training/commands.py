"""What the command line does with training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import tyro
import yaml

from motion_transfer.training.config import TrainConfig, as_tree, load_config

Settings = Annotated[
    tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="set", metavar="A.B=C")
]


def train(
    config: Annotated[Path, tyro.conf.Positional],
    settings: Settings = (),
    *,
    dry_run: bool = False,
) -> None:
    """Train the generator, going on from the run folder's newest checkpoint.

    Args:
        config: YAML file, such as configs/tiny.yaml.
        settings: options that differ from the file, for instance data.batch_size=8.
        dry_run: show the resolved options and the networks' cost, compute one batch, write nothing.
    """
    from motion_transfer.training import train as loop

    resolved = load_config(config, settings)
    if dry_run:
        _show(resolved)
    else:
        print(loop.train(resolved))


def _show(config: TrainConfig) -> None:
    from motion_transfer.generator.cost import count_cost
    from motion_transfer.generator.networks import PoseFlowNetworks
    from motion_transfer.training.train import try_batch

    print(yaml.safe_dump(as_tree(config), sort_keys=False))
    cost = count_cost(PoseFlowNetworks(**as_tree(config.model)), config.size)
    for name, (parameters, gflop, _) in cost.items():
        print(f"{name:18} {parameters / 1e6:6.2f} M parameters {gflop:7.2f} GFLOP")
    frame = sum(c.gflop for n, c in cost.items() if n.startswith("frame"))
    total = sum(c.parameters for c in cost.values())
    print(f"{'all':18} {total / 1e6:6.2f} M parameters {frame:7.2f} GFLOP per frame")
    with torch.random.fork_rng():
        for name, value in try_batch(config).items():
            print(f"loss {name:16} {value:.4f}")


def export(
    run: Annotated[Path, tyro.conf.Positional],
    output: Annotated[Path, tyro.conf.Positional],
) -> None:
    """Write a run's networks as one fp16 file that `transfer --weights` takes.

    Args:
        run: run folder or checkpoint.
        output: safetensors file.
    """
    from motion_transfer.generator.pretrained import save_networks
    from motion_transfer.training.checkpoints import load_trained

    weights, tree, step = load_trained(run)
    about = {"step": str(step), "seed": str(tree["seed"])}
    save_networks(output, weights, model=tree["model"], stage=tree["stage"], about=about)
    print(f"{output}  {output.stat().st_size / 1e6:.1f} MB, from {run}, step {step}")
