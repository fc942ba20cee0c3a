"""What each part of the learned generator is worth, on held-out rendered people.

    python -m benchmarks.ablations --shards out/held-out [--weights FILE] [--retrained NAME=FILE]

A part is switched off in weights that were trained with it: smoothing of the flow, the copy gate
(everything is painted), GarmentNet (its outputs are zero: the flow's outline and the photo's warped
garment map remain). A part that training cannot do without, such as the part mixture, needs weights
that were trained without it: `--retrained`. The report lies in the run folder; a table is printed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from safetensors import safe_open

from motion_transfer.evaluation.config import EvaluateConfig, GeneratorConfig, SyntheticConfig
from motion_transfer.evaluation.evaluate import evaluate
from motion_transfer.generator.pretrained import load_pretrained, save_networks
from motion_transfer.generator.shipped import find_weights

METRICS = {
    "epe": "flow error, px", "visibility_f1": "visibility F1", "psnr_person": "PSNR, dB",
    "ssim_person": "SSIM", "features_person": "feature distance", "alpha_iou": "matte IoU",
    "parse_miou": "parse mIoU", "flicker_own": "flicker, 1/255",
}  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shards", required=True, help="held-out samples, from synth shards")
    parser.add_argument("--weights", help="file that export wrote; default: the one that ships")
    parser.add_argument("--retrained", nargs="*", default=[], metavar="NAME=FILE")
    parser.add_argument("--num", type=int, default=64, help="of samples")
    parser.add_argument("--output", type=Path, default=Path("out/ablations"))
    arguments = parser.parse_args()
    folder: Path = arguments.output
    full = GeneratorConfig(name="pose flow", kind="pose-flow", weights=arguments.weights)
    generators = [
        GeneratorConfig(name="photo still", kind="still"),
        GeneratorConfig(name="articulated", kind="articulated"),
        full,
        dataclasses.replace(full, name="without smoothing", smooth=0.0),
    ]
    for name, path in ablated(find_weights("pose-flow", arguments.weights), folder).items():
        generators.append(dataclasses.replace(full, name=name, weights=str(path)))
    for given in arguments.retrained:
        name, equals, path = given.partition("=")
        if not equals:
            parser.error(f"--retrained must look like NAME=FILE, got {given!r}")
        generators.append(dataclasses.replace(full, name=name, weights=path))
    config = EvaluateConfig(
        name="evaluation", output=str(folder), generators=tuple(generators), reference="pose flow",
        synthetic=SyntheticConfig(shards=arguments.shards, num=arguments.num), faces=False,
    )  # fmt: skip
    report = evaluate(config)
    show(json.loads((report.parent / "results.json").read_text()), [g.name for g in generators])
    print(report)


def ablated(weights: Path, folder: Path) -> dict[str, Path]:
    """Copies of a weights file with a part switched off, by the part's name."""
    pretrained = load_pretrained(weights)
    with safe_open(weights, "pt") as file:
        model = json.loads(file.metadata()["model"])
    state = pretrained.networks.state_dict()
    made = {}
    if pretrained.outlines:
        made["without GarmentNet"] = folder / "without-garment.safetensors"
        silent = {
            name: torch.zeros_like(tensor) if name.startswith("garment.head") else tensor
            for name, tensor in state.items()
        }
        save_networks(made["without GarmentNet"], silent, model=model, stage=pretrained.stage)
    if pretrained.paints:
        made["without copy gate"] = folder / "without-copy.safetensors"
        save_networks(
            made["without copy gate"], state, model={**model, "use_copy": False},
            stage=pretrained.stage,
        )  # fmt: skip
    return made


def show(results: dict[str, Any], names: list[str]) -> None:
    """Means over the samples, a generator in a row."""
    means = results["protocols"]["synthetic"]["means"]
    table = Table(title="means over held-out samples")
    table.add_column("generator")
    measured = [metric for metric in METRICS if metric in means]  # not without model files
    for metric in measured:
        table.add_column(METRICS[metric], justify="right")
    for name in names:
        found = [means[metric][name]["mean"] for metric in measured]
        table.add_row(name, *(f"{value:.3f}" for value in found))
    Console().print(table)


if __name__ == "__main__":
    main()
