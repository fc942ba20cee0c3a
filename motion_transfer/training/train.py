"""The training loop: one linear function.

    motion-transfer train configs/tiny.yaml --set data.shards=out/shards
    torchrun --nproc_per_node 2 -m motion_transfer train configs/base.yaml --set ...

A run folder holds the resolved options, a line of JSON per log entry, sample sheets and
checkpoints. Started again, a run goes on from its newest checkpoint; on shards it then takes
exactly the steps that it would have taken without the stop. Ctrl+C writes a checkpoint first.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from motion_transfer.errors import Cancelled, InputError
from motion_transfer.evaluation.features import mobilenet_v2, vgg16
from motion_transfer.generator.blocks import count_parameters
from motion_transfer.generator.networks import PoseFlowNetworks
from motion_transfer.training import losses, refining
from motion_transfer.training.batches import (
    Pair,
    make_pair,
    make_picture_pair,
    random_modalities,
)
from motion_transfer.training.checkpoints import (
    forget_old,
    latest_checkpoint,
    load_initial,
    load_state,
    save_checkpoint,
)
from motion_transfer.training.colours import other_colours
from motion_transfer.training.config import TrainConfig, as_tree
from motion_transfer.training.data import Tensors, batches, held_out_batches
from motion_transfer.training.discriminators import ClipDiscriminator, MultiScaleDiscriminator
from motion_transfer.training.ema import Ema
from motion_transfer.training.objectives import (
    Features,
    Outputs,
    StageNetworks,
    flow_terms,
    garment_terms,
    synthesis_terms,
    target_step,
    unpaired_flow_terms,
)
from motion_transfer.training.page import write_page
from motion_transfer.training.scores import score
from motion_transfer.training.sheets import write_sheet
from motion_transfer.training.stopping import Stopping

AnyStage = StageNetworks | refining.RefinementStage
log = logging.getLogger(__name__)
NUM_HELD_OUT = 64


def train(config: TrainConfig, *, features: Features | None = None) -> Path:
    """Train a stage, from the newest checkpoint of the run folder if there is one.

    Args:
        config: the run.
        features: in place of `loss.network`: pictures (B, 3, H, W) in [0, 1] to features.

    Returns:
        The last checkpoint.

    Raises:
        InputError: the options do not fit together, or the losses are not finite.
        WeightsError: the file of `loss.network` is not there; says how to get it.
        Cancelled: a signal came; a checkpoint has been written.
    """
    _check_features(config, features)
    with _processes() as (rank, world_size), contextlib.ExitStack() as stack:
        device = _device(config, rank)
        torch.set_flush_denormal(True)  # tiny weights of far parts cost CPUs a factor of two
        if config.threads:
            torch.set_num_threads(config.threads)
        folder = Path(config.output) / config.name
        folder.mkdir(parents=True, exist_ok=True)

        torch.manual_seed(config.seed)
        networks = PoseFlowNetworks(**as_tree(config.model))
        if config.init:
            start_from(networks, load_initial(config.init))
        stage = _make_stage(networks, config)
        stage.to(device=device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        features = features or load_features(config, device)
        trained = [p for p in stage.parameters() if p.requires_grad]
        optimizer = _adam(trained, config.optim.rate, config)
        ema = Ema(networks, decay=config.optim.ema)
        critic = _make_critic(config, device)
        writer = _tensorboard(config, folder) if rank == 0 else None
        if writer is not None:
            stack.callback(writer.close)  # or the last minutes are not on disk
        step = 0
        if checkpoint := latest_checkpoint(folder):
            step = _restore(checkpoint, config, stage, optimizer, ema, critic)
            log.info("going on from %s", checkpoint)
        elif rank == 0:
            (folder / "config.yaml").write_text(yaml.safe_dump(as_tree(config), sort_keys=False))
        log.info("%s: stage %s, %.2f M of %.2f M parameters are trained, %s, step %d",
                 folder, config.stage, count_parameters(stage) / 1e6,
                 sum(p.numel() for p in stage.parameters()) / 1e6, device, step)  # fmt: skip
        parallel: nn.Module = stage
        if world_size > 1:
            ids = [device.index or 0] if device.type == "cuda" else None
            parallel = DistributedDataParallel(stage, device_ids=ids)
        stream = batches(config, start=step, rank=rank, world_size=world_size, device=device)
        stopping = stack.enter_context(Stopping(config.minutes, device))
        started, first, bad = time.monotonic(), step, 0
        noted: dict[str, torch.Tensor] = {}  # on the device: to read it each step would wait for it
        noted_steps = 0
        shown: list[tuple[Any, Any]] = []

        last = math.inf if config.steps is None else config.steps
        while step < last and not stopping.is_due():
            rate = schedule(step, config, share=stopping.share)
            generator = torch.Generator().manual_seed((config.seed * 1_000_003 + step) * 64 + rank)
            samples = next(stream)
            optimizer.param_groups[0]["lr"] = config.optim.rate * rate
            shown, terms = _look(parallel, stage, samples, config, generator, features)
            if critic is not None:
                terms.update(critic.judge(shown, config))
            weights = _weights(config)
            total = losses.add_up(terms, weights)["total"]
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            norm = nn.utils.clip_grad_norm_(trained, config.optim.clip)
            finite = bool(torch.isfinite(norm))  # gradients are shared, so all processes agree
            bad = 0 if finite else bad + 1
            if bad > config.optim.max_bad_steps:
                raise InputError(
                    f"{bad} steps in a row were not finite at step {step}; lower optim.rate or "
                    "raise optim.warm_up, and start from an older checkpoint"
                )
            if finite:
                optimizer.step()
                ema.update(networks, step)
                if critic is not None:
                    critic.learn(shown, rate=config.optim.discriminator_rate * rate)
            step += 1

            skipped = torch.tensor(float(not finite))
            now = {**terms, "total": total, "gradient": norm, "skipped": skipped}
            for name, value in now.items():
                noted[name] = noted.get(name, 0.0) + value.detach()
            noted_steps += 1
            if rank == 0 and (step % config.log_every == 0 or step == last):
                seconds = time.monotonic() - started
                entry = {n: float(v) / noted_steps for n, v in noted.items()}
                entry["samples_per_second"] = (
                    (step - first) * config.data.batch_size * world_size / seconds
                )
                _note(folder, writer, step, entry)
                noted.clear()
                noted_steps = 0
            if rank == 0 and config.data.held_out and step % config.held_out_every == 0:
                _hold_out(folder, writer, step, config, stage, ema, device)
            if rank == 0 and step % config.checkpoint_every == 0 and step < last:
                _save(folder, config, step, stage, optimizer, ema, critic)
                _write_sheet(folder / "sheets" / f"{step:07d}.png", *shown[0])
                write_page(folder)

        final = folder / f"step-{step:07d}"
        if rank == 0:
            if not final.is_dir():
                final = _save(folder, config, step, stage, optimizer, ema, critic)
                if shown:
                    _write_sheet(folder / "sheets" / f"{step:07d}.png", *shown[0])
            if config.data.held_out and step > first and not stopping.asked:
                _hold_out(folder, writer, step, config, stage, ema, device)
            if step > first:
                write_page(folder)
        if stopping.asked:
            raise Cancelled(f"stopped; the same command goes on from {final}")
        return final


def try_batch(config: TrainConfig, *, features: Features | None = None) -> dict[str, float]:
    """The loss terms of the first batch before training; nothing is written."""
    _check_features(config, features)
    device = _device(config, 0)
    features = features or load_features(config, device)
    torch.manual_seed(config.seed)
    networks = PoseFlowNetworks(**as_tree(config.model))
    if config.init:
        start_from(networks, load_initial(config.init))
    stage = _make_stage(networks, config).to(device)
    generator = torch.Generator().manual_seed(config.seed)
    samples = next(batches(config, start=0, rank=0, world_size=1, device=device))
    with torch.no_grad():
        _, found = _look(stage, stage, samples, config, generator, features)
        terms = losses.add_up(found, _weights(config))
    return {name: float(value) for name, value in terms.items()}


def _make_stage(networks: PoseFlowNetworks, config: TrainConfig) -> AnyStage:
    if config.stage == "refinement":
        return refining.RefinementStage(networks, precision=config.precision)
    return StageNetworks(networks, stage=config.stage, precision=config.precision)


def _look(
    parallel: nn.Module,
    stage: AnyStage,
    samples: Tensors,
    config: TrainConfig,
    generator: torch.Generator,
    features: Features | None,
) -> tuple[list[tuple[Any, Any]], dict[str, torch.Tensor]]:
    """Networks and loss of a batch.

    Args:
        parallel: the stage, whose gradients are shared between processes.
        stage: the same alone.
        samples: the batch.
        config: the run.
        generator: of what is drawn at random.
        features: the frozen network.

    Returns:
        What the networks made of what, for one frame or two that follow each other; the terms
        without the discriminators'.
    """
    if isinstance(stage, refining.RefinementStage):
        drawn = refining.cut_drawings(
            samples, size_hw=config.size, generator=generator, twice=config.loss.steady > 0,
            reshaped=config.data.reshaped, torn=config.data.torn,
        )  # fmt: skip
        refined = parallel(drawn)
        wanted = features if config.loss.perceptual > 0 else None
        terms = refining.refinement_terms(refined, drawn, wanted)
        return [(refined, drawn)], _wanted(terms, config)
    pair, later, motion = _draw_pairs(samples, config, generator)
    keep, real = _draw_modalities(pair, config, generator)
    outputs = parallel(pair.source, pair.target, keep, real)
    terms = _terms(outputs, pair, config, features)
    shown = [(outputs, pair)]
    if later is not None and motion is not None:
        follow = stage(later.source, later.target, keep, real)
        shown.append((follow, later))
        if config.loss.temporal > 0:
            terms["temporal"] = _temporal(outputs, follow, *motion)
    return shown, terms


def _write_sheet(path: Path, outputs: Any, pair: Any) -> None:
    if isinstance(pair, refining.Drawn):
        refining.write_sheet(path, pair, outputs)
    else:
        write_sheet(path, pair, outputs)


def start_from(networks: PoseFlowNetworks, weights: Tensors) -> None:
    """Take over weights; a network of other widths (the next stage's, say) starts anew.

    Raises:
        InputError: PoseFlowNet, which all others stand on, has other widths.
    """
    for name, network in networks.named_children():
        own = network.state_dict()
        theirs = {n: t for n, t in weights.items() if n.startswith(f"{name}.")}
        theirs = {n.removeprefix(f"{name}."): t for n, t in theirs.items()}
        if {n: t.shape for n, t in own.items()} == {n: t.shape for n, t in theirs.items()}:
            network.load_state_dict(theirs)
        elif name == "flow":
            raise InputError("init: model.flow_widths must be those of the weights to start from")
        else:
            log.info("%s has other widths than in the weights to start from: it starts anew", name)


def load_features(config: TrainConfig, device: torch.device) -> Features | None:
    """The frozen ImageNet network of `loss.network`, its first `loss.stages` stages.

    Raises:
        WeightsError: its file is not there; says how to get it.
    """
    name = config.loss.network
    if name == "none":
        return None
    network = {"vgg16": vgg16, "mobilenet_v2": mobilenet_v2}[name]()
    network = network.first(config.loss.stages).to(device)

    def features(rgb: torch.Tensor) -> list[torch.Tensor]:
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            return network(rgb)

    return features


def schedule(step: int, config: TrainConfig, *, share: float = 0.0) -> float:
    """Learning rate relative to `optim.rate`: linear warm-up, then a cosine.

    Args:
        step: number of steps done.
        config: the run.
        share: of its minutes that is over, in [0, 1]; what the cosine follows without `steps`.
    """
    optim = config.optim
    warm = min(1.0, (step + 1) / max(optim.warm_up, 1))
    if config.steps is not None:
        share = min(1.0, step / config.steps)
    cosine = optim.final_rate + (1 - optim.final_rate) * 0.5 * (1 + math.cos(math.pi * share))
    return warm * cosine


@contextlib.contextmanager
def _processes() -> Iterator[tuple[int, int]]:
    """This process's rank and the number of processes that `torchrun` started."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield 0, 1
        return
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield distributed.get_rank(), distributed.get_world_size()
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


def _device(config: TrainConfig, rank: int) -> torch.device:
    if config.device == "cpu" or (config.device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InputError("device is cuda but torch sees no CUDA device; use --set device=cpu")
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def _check_features(config: TrainConfig, features: Features | None) -> None:
    needed = [n for n in ("perceptual", "style", "feature_warp") if getattr(config.loss, n) > 0]
    if needed and features is None and config.loss.network == "none":
        raise InputError(
            f"loss.{needed[0]} needs an ImageNet network, got none; --set loss.network=vgg16, or "
            "set its weight to 0"
        )
    if not config.loss.supervised and config.loss.feature_warp <= 0 and config.stage == "flow":
        raise InputError("loss.supervised is off, so loss.feature_warp must be above 0, got 0")


def _adam(parameters: list[nn.Parameter], rate: float, config: TrainConfig) -> torch.optim.AdamW:
    optim = config.optim
    return torch.optim.AdamW(
        parameters, lr=rate, betas=(optim.beta1, optim.beta2), weight_decay=optim.weight_decay
    )


def _draw_pairs(
    samples: Tensors, config: TrainConfig, generator: torch.Generator
) -> tuple[Pair, Pair | None, tuple[torch.Tensor, torch.Tensor] | None]:
    """A pair in a random direction; for terms of two frames also the next target and the motion."""
    chance = torch.rand(4, generator=generator).tolist()
    size_hw, data = config.size, config.data
    flip = chance[1] < 0.5
    if data.pictures:
        return make_picture_pair(samples, flip=flip, size_hw=size_hw), None, None
    noise = torch.ones(len(samples["rgb"]))
    if data.noise < 1:
        noise = data.noise * torch.rand(noise.shape, generator=generator)
    noise = noise.to(samples["tracked"]) * (chance[0] >= data.exact)
    if data.recoloured > 0:
        samples = {**samples, "rgb": other_colours(samples["rgb"], data.recoloured, generator)}
    frames = samples["flow"].shape[1]
    two_frames = config.loss.of_two_frames
    if not two_frames:
        frame = min(int(chance[2] * frames), frames - 1)
        pair = make_pair(samples, frame=frame, backward=chance[3] < 0.5, flip=flip,
                         noise=noise, size_hw=size_hw)  # fmt: skip
        return pair, None, None
    if frames < 2:
        raise InputError(f"loss.{two_frames[0]} needs samples of at least 2 target views, got 1")
    frame = min(int(chance[2] * (frames - 1)), frames - 2)
    pair, later = (
        make_pair(samples, frame=frame + k, flip=flip, noise=noise, size_hw=size_hw)
        for k in range(2)
    )
    back = make_pair(
        samples, frame=frame + 1, backward=True, flip=flip, noise=noise, size_hw=size_hw
    )
    return pair, later, target_step(pair, back)


def _draw_modalities(
    pair: Pair, config: TrainConfig, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    batch, device = len(pair.flow), pair.flow.device
    keep = random_modalities(batch, drop=config.data.modality_drop, generator=generator)
    share = 0.0 if config.data.pictures else config.data.part_maps
    real = torch.rand(batch, generator=generator) < share
    return keep.to(device), real.to(device)


def _terms(
    outputs: Outputs, pair: Pair, config: TrainConfig, features: Features | None
) -> dict[str, torch.Tensor]:
    """The terms of the stage whose weight is not 0."""
    terms: dict[str, torch.Tensor] = {}
    if config.stage in ("flow", "joint"):
        terms.update(flow_terms(outputs.flow, pair, config.loss))
        if config.loss.feature_warp > 0:
            assert features is not None
            terms.update(unpaired_flow_terms(outputs.flow, pair, features))
    if config.stage in ("garment", "joint"):
        terms.update(garment_terms(outputs, pair))
    if config.stage in ("synthesis", "joint"):
        terms.update(synthesis_terms(outputs, pair, config.loss, features))
    return _wanted(terms, config)


def _wanted(terms: dict[str, torch.Tensor], config: TrainConfig) -> dict[str, torch.Tensor]:
    weights = _weights(config)
    return {name: value for name, value in terms.items() if weights[name] > 0}


def _weights(config: TrainConfig) -> dict[str, float]:
    tree = as_tree(config.loss)
    return {name: value for name, value in tree.items() if isinstance(value, float)}


def _temporal(
    outputs: Outputs, later: Outputs, step: torch.Tensor, known: torch.Tensor
) -> torch.Tensor:
    """Flow, and the picture where there is one, agree along the target's motion."""
    term = losses.temporal_flow(outputs.flow.full()[0], later.flow.full()[0], step, known)
    if outputs.result is not None and outputs.result.picture is not None:
        assert later.result is not None and later.result.picture is not None
        here, there = outputs.result.picture.rgb, later.result.picture.rgb
        term = term + 10 * losses.temporal_picture(here, there, step, known)
    return term


class Critic:
    """The discriminators with their optimiser; they see the cut-out person.

    Args:
        config: the run.
        device: where they live.
    """

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.networks = nn.ModuleDict()
        if config.loss.adversarial > 0 or config.loss.matching > 0:
            self.networks["picture"] = MultiScaleDiscriminator(channels=4)
        if config.loss.clip > 0:
            self.networks["clip"] = ClipDiscriminator(channels=4)
        self.networks.to(device)
        self.optimizer = _adam(
            list(self.networks.parameters()), config.optim.discriminator_rate, config
        )

    def judge(
        self, shown: list[tuple[Outputs, Pair]], config: TrainConfig
    ) -> dict[str, torch.Tensor]:
        """The generator's terms for one frame, or two that follow each other."""
        real, fake = _cut_out(shown)
        self.networks.requires_grad_(False)
        terms: dict[str, torch.Tensor] = {}
        if "picture" in self.networks:
            ours = self.networks["picture"](fake[:, 0])
            theirs = self.networks["picture"](real[:, 0])
            terms["adversarial"] = torch.stack(
                [losses.hinge_generator(j.logits) for j in ours]
            ).mean()
            terms["matching"] = torch.stack([
                losses.feature_matching(t.features, o.features)
                for t, o in zip(theirs, ours, strict=True)
            ]).mean()  # fmt: skip
        if "clip" in self.networks:
            terms["clip"] = losses.hinge_generator(self.networks["clip"](fake).logits)
        self.networks.requires_grad_(True)
        return {n: v for n, v in terms.items() if getattr(config.loss, n) > 0}

    def learn(self, shown: list[tuple[Outputs, Pair]], *, rate: float) -> None:
        """One step of the discriminators."""
        real, fake = _cut_out(shown)
        both = torch.cat([real, fake.detach()])
        judged = []
        if "picture" in self.networks:
            judged += self.networks["picture"](both[:, 0])
        if "clip" in self.networks:
            judged.append(self.networks["clip"](both))
        loss = torch.stack([losses.hinge_discriminator(*j.logits.chunk(2)) for j in judged]).mean()
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if distributed.is_initialized():
            for parameter in self.networks.parameters():
                if parameter.grad is not None:
                    distributed.all_reduce(parameter.grad)
                    parameter.grad /= distributed.get_world_size()
        self.optimizer.step()


def _cut_out(shown: list[tuple[Outputs, Pair]]) -> tuple[torch.Tensor, torch.Tensor]:
    """True and generated frames (B, T, 4, H, W): colour multiplied by alpha, and alpha."""
    real, fake = [], []
    for outputs, pair in shown:
        assert outputs.result is not None and outputs.result.picture is not None
        picture = outputs.result.picture
        alpha = torch.sigmoid(picture.alpha)
        real.append(torch.cat([pair.target.rgb * pair.target.alpha, pair.target.alpha], 1))
        fake.append(torch.cat([picture.rgb * alpha, alpha], 1))
    return torch.stack(real, 1), torch.stack(fake, 1)


def _make_critic(config: TrainConfig, device: torch.device) -> Critic | None:
    wanted = max(config.loss.adversarial, config.loss.matching, config.loss.clip) > 0
    return Critic(config, device) if wanted and config.stage in ("synthesis", "joint") else None


def _optimizer_tensors(optimizer: torch.optim.Optimizer, prefix: str) -> Tensors:
    return {
        f"{prefix}.{number}.{name}": tensor
        for number, values in optimizer.state_dict()["state"].items()
        for name, tensor in values.items()
    }


def _restore_optimizer(optimizer: torch.optim.Optimizer, state: Tensors, prefix: str) -> None:
    tree = optimizer.state_dict()
    values: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in state.items():
        kind, _, rest = key.partition(".")
        if kind == prefix:
            number, _, name = rest.partition(".")
            values.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": values, "param_groups": tree["param_groups"]})


def _save(
    folder: Path,
    config: TrainConfig,
    step: int,
    stage: AnyStage,
    optimizer: torch.optim.Optimizer,
    ema: Ema,
    critic: Critic | None,
) -> Path:
    state = {f"network.{n}": t for n, t in stage.networks.state_dict().items()}
    state.update({f"mean.{n}": t for n, t in ema.mean.items()})
    state.update(_optimizer_tensors(optimizer, "optimizer"))
    if critic is not None:
        state.update({f"critic.{n}": t for n, t in critic.networks.state_dict().items()})
        state.update(_optimizer_tensors(critic.optimizer, "critic_optimizer"))
    path = save_checkpoint(folder, config=config, step=step, weights=ema.mean, state=state)
    forget_old(folder, config.keep)
    return path


def _restore(
    checkpoint: Path,
    config: TrainConfig,
    stage: AnyStage,
    optimizer: torch.optim.Optimizer,
    ema: Ema,
    critic: Critic | None,
) -> int:
    """Fill everything from a checkpoint; returns the number of steps done."""
    state, tree, step = load_state(checkpoint)
    for name in ("stage", "model"):
        ours = as_tree(config)[name]
        if tree[name] != ours:
            raise InputError(
                f"{checkpoint} was made with another {name}, {tree[name]}, got {ours}; "
                "choose another --set name=..."
            )

    def group(prefix: str) -> Tensors:
        return {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}

    stage.networks.load_state_dict(group("network."))
    for name, tensor in group("mean.").items():
        ema.mean[name].copy_(tensor)
    _restore_optimizer(optimizer, state, "optimizer")
    if critic is not None:
        critic.networks.load_state_dict(group("critic."))
        _restore_optimizer(critic.optimizer, state, "critic_optimizer")
    return step


def _note(folder: Path, writer: Any, step: int, entry: dict[str, float]) -> None:
    with (folder / "log.jsonl").open("a") as file:
        file.write(json.dumps({"step": step, **{n: round(v, 6) for n, v in entry.items()}}) + "\n")
    log.info("step %d  %s", step, "  ".join(f"{n} {v:.4g}" for n, v in entry.items()))
    if writer is not None:
        for name, value in entry.items():
            writer.add_scalar(name, value, step)


def _hold_out(
    folder: Path,
    writer: Any,
    step: int,
    config: TrainConfig,
    stage: AnyStage,
    ema: Ema,
    device: torch.device,
) -> None:
    """Scores of the running mean on held-out pairs."""
    assert config.data.held_out is not None
    own = {n: p.detach().clone() for n, p in stage.networks.named_parameters()}
    ema.copy_to(stage.networks)
    samples = held_out_batches(config, batch_size=16, num=NUM_HELD_OUT, device=device)
    if isinstance(stage, refining.RefinementStage):
        scores = refining.score(stage, samples, size_hw=config.size)
    else:
        scores = score(stage, samples, size_hw=config.size)
    with torch.no_grad():
        for name, parameter in stage.networks.named_parameters():
            parameter.copy_(own[name])
    _note(folder, writer, step, {f"held_out/{n}": v for n, v in scores.items()})


def _tensorboard(config: TrainConfig, folder: Path) -> Any:
    if not config.tensorboard:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError(
            "tensorboard is on but not installed; pip install tensorboard, or "
            "--set tensorboard=false"
        ) from error
    return SummaryWriter(str(folder))
