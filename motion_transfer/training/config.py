"""Training options: frozen dataclasses, filled from YAML and `--set a.b=c`.

Every default exists here and nowhere else. YAML files list what differs; the resolved options are
saved in the run folder and in every checkpoint.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from motion_transfer.errors import InputError

Stage = Literal["flow", "garment", "synthesis", "joint", "refinement"]
FeatureName = Literal["none", "vgg16", "mobilenet_v2"]
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is trained on: rendered pairs, shards or drawings of them, or pictures without truth."""

    assets: str | None = None  # folder of the asset pack: render while training
    shards: str | None = None  # folder of shards: train on what was rendered before
    pictures: str | None = None  # folder that `dataset prepare` wrote; needs loss.supervised=false
    drawings: str | None = None  # folder that `synth drawings` wrote; stage refinement alone
    held_out: str | None = None  # folder of shards, or drawings, that scores are reported on
    batch_size: int = 16  # pairs, per process
    workers: int = 0  # processes that read or render
    frames: int = 1  # consecutive target views to render; 2 for the temporal terms
    replay: int = 0  # rendered samples that are kept and drawn from; 0: each is used once
    reuse: float = 1.0  # steps for every rendered batch, with a replay buffer
    modality_drop: float = 0.15  # probability that key points, limbs, depth or parts are absent
    part_maps: float = 0.3  # probability of a real ten-part map in place of one from joints
    exact: float = 0.1  # probability of a batch with the rig's own key points
    noise: float = 1.0  # share of the tracker's errors otherwise; below 1: up to so much
    recoloured: float = 0.0  # probability that a rendered person has other colours
    resident: bool = False  # shards or drawings stay on the device, all of them
    reshaped: float = 0.0  # probability that a person is swollen and shrunk; stage refinement
    torn: float = 0.0  # probability that a drawing's outline gets rags; stage refinement


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Channels of the networks, fine to coarse."""

    flow_widths: tuple[int, int, int, int] = (32, 80, 128, 192)
    parser_widths: tuple[int, int, int, int] = (32, 48, 96, 128)
    garment_widths: tuple[int, int, int] = (24, 64, 128)
    source_widths: tuple[int, int, int, int] = (16, 32, 64, 128)
    synthesis_widths: tuple[int, int, int, int, int] = (16, 48, 96, 160, 208)
    refinement_widths: tuple[int, int, int, int] = (32, 64, 112, 160)
    use_mixture: bool = True
    residual_torso: float = 0.15  # bound of the flow's residual in torsos
    use_copy: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """AdamW with warm-up and a cosine to `final_rate`."""

    rate: float = 3e-4
    final_rate: float = 0.05  # of `rate`, at the last step
    warm_up: int = 500  # steps
    weight_decay: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.98
    clip: float = 5.0  # gradient norm
    ema: float = 0.999
    discriminator_rate: float = 2e-4
    max_bad_steps: int = 20  # steps in a row that may be skipped because a value is not finite


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the terms; a weight of 0 leaves the term out."""

    flow: float = 0.5  # per pixel of the crop
    flow_coarse: float = 0.1
    visibility: float = 4.0
    mask: float = 3.0
    mask_overlap: float = 1.0
    part: float = 0.3
    residual: float = 0.5
    variation: float = 0.05
    affine: float = 0.0
    temporal: float = 0.0  # needs two frames
    feature_warp: float = 0.0  # flow without correspondences; needs an ImageNet network
    parse_source: float = 1.0
    parse: float = 1.0
    parse_coarse: float = 0.3
    alpha: float = 1.0
    rgb: float = 5.0
    generated: float = 2.0
    face: float = 2.0
    hands: float = 1.0
    gate: float = 0.1
    perceptual: float = 0.0  # needs an ImageNet network
    style: float = 0.0  # needs an ImageNet network
    adversarial: float = 0.0
    matching: float = 0.0
    clip: float = 0.0  # discriminator of two frames; needs two frames
    steady: float = 0.0  # the same done to a drawing and to the same one moved; stage refinement
    crisp: float = 0.0  # as little of the matte half transparent as of the truth; stage refinement
    ssim: float = 0.0  # 1 - SSIM of the picture; stage refinement
    hidden_flow: float = 0.15  # weight of a pixel that the source does not show
    network: FeatureName = "none"  # of `evaluation.features`, for the terms that need one
    stages: int = 3  # of that network, from the finest
    supervised: bool = True  # False: no exact flow, visibility, parts: pictures and mattes alone

    @property
    def of_two_frames(self) -> tuple[str, ...]:
        """Names of the terms in use that look at two consecutive target frames."""
        return tuple(name for name in ("temporal", "clip") if getattr(self, name) > 0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run."""

    name: str = "run"
    output: str = "out/training"  # the run folder is made in it
    stage: Stage = "flow"
    init: str | None = None  # run folder, checkpoint or exported file to start from
    steps: int | None = 20_000  # null: as many as fit in `minutes`, which the rate then follows
    minutes: float | None = None  # stop after so long, with a checkpoint
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["bf16", "fp32"] = "bf16"
    threads: int = 0  # of the CPU; 0: as torch decides
    size: tuple[int, int] = (256, 192)  # crop, height and width in pixels, multiples of 16
    log_every: int = 50  # steps
    held_out_every: int = 1000
    checkpoint_every: int = 1000
    keep: int = 2  # checkpoints
    tensorboard: bool = False
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    optim: OptimConfig = dataclasses.field(default_factory=OptimConfig)
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        kinds = ("assets", "shards", "pictures", "drawings")
        sources = [n for n in kinds if getattr(self.data, n)]
        if len(sources) != 1:
            raise InputError(
                "data: exactly one of data.assets, data.shards, data.pictures and data.drawings "
                f"must be given, got {' and '.join(sources) or 'none'}; for instance --set "
                "data.shards=out/shards"
            )
        if (self.stage == "refinement") != (sources == ["drawings"]):
            raise InputError(
                f"stage refinement and data.drawings belong together, got stage {self.stage} and "
                f"data.{sources[0]}"
            )
        if self.data.pictures:
            self._check_pictures()
        if any(n % 16 or n < 16 for n in self.size):
            raise InputError(f"size must be multiples of 16, got {self.size}")
        if (self.steps is not None and self.steps < 1) or self.data.batch_size < 1:
            raise InputError("steps and data.batch_size must be at least 1")
        if self.steps is None and self.minutes is None:
            raise InputError("steps may be null only with minutes, got neither; --set minutes=30")
        if self.data.resident and not (self.data.shards or self.data.drawings):
            raise InputError(f"data.resident is for shards and drawings, got data.{sources[0]}")
        for name in self.loss.of_two_frames:
            if self.data.assets and self.data.frames < 2:
                raise InputError(f"loss.{name} needs data.frames of at least 2, got 1")

    def _check_pictures(self) -> None:
        """What cannot be learned from pictures that nothing is known of."""
        loss = self.loss
        if loss.supervised:
            raise InputError("data.pictures have no true flow; --set loss.supervised=false")
        if loss.of_two_frames:
            raise InputError(f"loss.{loss.of_two_frames[0]} must be 0: data.pictures are no clips")
        if self.stage == "garment":
            raise InputError(
                "stage garment needs garment labels, which data.pictures do not have; train it on "
                "data.shards and start from it with init"
            )
        if self.stage == "joint":
            for name in ("parse_source", "parse", "parse_coarse"):
                if getattr(loss, name) > 0:
                    raise InputError(f"loss.{name} must be 0: data.pictures have no garment labels")


def load_config(path: str | os.PathLike[str], settings: Sequence[str] = ()) -> TrainConfig:
    """The options of a training run; see `load_options`."""
    return load_options(TrainConfig, path, settings)


def load_options(kind: type[T], path: str | os.PathLike[str], settings: Sequence[str] = ()) -> T:
    """Read a YAML file and apply `a.b=c` settings.

    Args:
        kind: dataclass of the options.
        path: YAML; only what differs from the defaults.
        settings: the value is read as YAML.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: an unknown key (names the nearest), or a value of the wrong type.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such configuration: {path}")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    if not isinstance(tree, dict):
        raise InputError(f"{path} must hold names and values, got {type(tree).__name__}")
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"--set must look like data.batch_size=8, got {setting!r}")
        *groups, last = name.strip().split(".")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
            if not isinstance(place, dict):
                raise InputError(f"--set {setting}: {group} is a value, not a group")
        place[last] = yaml.safe_load(text)
    return build(kind, tree)


def build(kind: type[T], tree: Mapping[str, Any], prefix: str = "") -> T:
    """A dataclass from nested names and values, checked."""
    hints = typing.get_type_hints(kind)
    values = {}
    for name, value in tree.items():
        full = f"{prefix}{name}"
        if name not in hints:
            near = difflib.get_close_matches(str(name), hints, n=1, cutoff=0)[0]
            raise InputError(f"unknown setting {full!r}; did you mean {prefix + near!r}?")
        values[name] = _convert(value, hints[name], full)
    return kind(**values)


def _convert(value: Any, hint: Any, name: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise InputError(f"{name} is a group of settings, got {value!r}")
        return build(typing.cast(type, hint), value, f"{name}.")
    if origin is types.UnionType:
        if value is None:
            return None
        return _convert(value, next(a for a in arguments if a is not type(None)), name)
    if origin is Literal:
        if value not in arguments:
            raise InputError(f"{name} must be one of {', '.join(arguments)}, got {value!r}")
        return value
    if origin is tuple and arguments[-1] is Ellipsis:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{name} must be a list, got {value!r}")
        return tuple(_convert(v, arguments[0], f"{name}[{k}]") for k, v in enumerate(value))
    if origin is tuple:
        if not isinstance(value, (list, tuple)) or len(value) != len(arguments):
            raise InputError(f"{name} must be a list of {len(arguments)} numbers, got {value!r}")
        return tuple(_convert(v, a, name) for v, a in zip(value, arguments, strict=True))
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):  # YAML reads 3e-4 as text
        try:
            return float(value)
        except ValueError:
            pass
    if type(value) is hint:
        return value
    raise InputError(f"{name} must be {hint.__name__}, got {value!r}")


def as_tree(config: Any) -> dict[str, Any]:
    """Nested names and values that `build` reads back."""
    tree: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        tree[field.name] = _plain(value)
    return tree


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return as_tree(value)
    return [_plain(v) for v in value] if isinstance(value, tuple) else value
