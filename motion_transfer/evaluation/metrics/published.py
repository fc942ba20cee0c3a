"""FID, Inception Score and LPIPS: only with their published weights, never with a substitute.

They are computed by torchmetrics (which takes Inception from torch-fidelity, AlexNet from
torchvision). Neither the packages nor the weights come with this project; nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch

from motion_transfer.errors import WeightsError

INCEPTION_FILE = "pt_inception-2015-12-05-6726825d.pth"  # of torch-fidelity, from the TTUR graph
ALEXNET_FILE = "alexnet-owt-7be5be79.pth"  # of torchvision; the LPIPS heads are in torchmetrics
_PACKAGES = {
    "fid": ("torchmetrics", "torch_fidelity"),
    "inception_score": ("torchmetrics", "torch_fidelity"),
    "lpips": ("torchmetrics", "torchvision"),
}
_FILES = {"fid": INCEPTION_FILE, "inception_score": INCEPTION_FILE, "lpips": ALEXNET_FILE}


PUBLISHED = tuple(_FILES)


class Published:
    """One of the field's metrics over a set of pictures, batch by batch; the last batch counts.

    Args:
        name: `fid` (against the pictures given as true), `inception_score` or `lpips` (AlexNet).

    Raises:
        WeightsError: a package or the weights are not there; says which and where they belong.
    """

    def __init__(self, name: str) -> None:
        for package in _PACKAGES[name]:
            if importlib.util.find_spec(package) is None:
                raise WeightsError(
                    f"{name} needs the package {package}; install it with a build that fits torch "
                    f"{torch.__version__}, or leave {name} out"
                )
        self.name = name
        weights = Path(torch.hub.get_dir()) / "checkpoints" / _FILES[name]
        if not weights.is_file():
            raise WeightsError(
                f"{name} needs its published weights, no such file: {weights}; "
                f"put them there, or leave {name} out"
            )
        self._metric = self._make(weights)

    def _make(self, weights: Path) -> Any:
        from torchmetrics import image

        if self.name == "lpips":
            return image.lpip.LearnedPerceptualImagePatchSimilarity("alex", normalize=True)
        path = str(weights)
        if self.name == "fid":
            return image.fid.FrechetInceptionDistance(
                2048, normalize=True, feature_extractor_weights_path=path
            )
        return image.inception.InceptionScore(normalize=True)

    def update(self, found: torch.Tensor, truth: torch.Tensor) -> None:
        """Add pictures (B, 3, H, W) in [0, 1]; the truth is not looked at by Inception Score."""
        if self.name == "fid":
            self._metric.update(truth, real=True)
            self._metric.update(found, real=False)
        elif self.name == "lpips":
            self._metric.update(found, truth)
        else:
            self._metric.update(found)

    def compute(self) -> float:
        """The value over all pictures added."""
        value = self._metric.compute()
        return float(value[0] if isinstance(value, tuple) else value)
