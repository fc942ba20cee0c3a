"""How fast the data engine renders.

    python -m benchmarks.synth --assets DIR

Every image comes with all of its ground truth (flow both ways, visibility, UV, depth, parts,
garments, key points, alpha), in random clothes, light and backgrounds, with camera noise and
JPEG, at 2x supersampling. "per core" counts processor time, so that it also means something on
a machine that is busy with other things. The renderer runs on the CPU only; training machines
run one process per core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from motion_transfer.synth.commands import bench


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="How fast the data engine renders.")
    parser.add_argument("--assets", type=Path, required=True, help="folder of the asset pack")
    parser.add_argument("--num", type=int, default=96, help="pairs per process")
    arguments = parser.parse_args()
    rows = [
        bench(assets=arguments.assets, size=size, workers=workers, num=arguments.num)
        for size, workers in (((256, 192), 1), ((256, 192), 2), ((512, 384), 1))
    ]
    print("\n| size | processes | images/s | per core and second of processor time |")
    print("| --- | --- | --- | --- |")
    for row in rows:
        print(
            f"| {row.size_hw[0]}x{row.size_hw[1]} | {row.workers} | "
            f"{row.images_per_second:.1f} | {row.images_per_cpu_second:.1f} |"
        )


if __name__ == "__main__":
    main()
