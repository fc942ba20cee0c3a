"""What RefinementNet is trained on, and by what it is judged."""

import json

import puppets
import pytest
import torch
from torch.nn.functional import avg_pool2d
from torch.utils.data import default_collate

from motion_transfer.errors import InputError, WeightsError
from motion_transfer.generator.pretrained import load_generator, load_pretrained
from motion_transfer.generator.warp import sample
from motion_transfer.training import refining
from motion_transfer.training.checkpoints import load_trained
from motion_transfer.training.commands import export
from motion_transfer.training.config import DataConfig, LossConfig, ModelConfig, TrainConfig
from motion_transfer.training.drawings import DrawnFrames, draw_sample, write_drawings
from motion_transfer.training.train import train, try_batch

HW = puppets.SIZE_HW


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("drawings")
    found = [
        d
        for seed in range(3)
        for d in draw_sample(puppets.make_sample(seed, frames=2, swing=0.3), noise=0.0)
    ]
    write_drawings(path / "000.npz", found)
    return path


@pytest.fixture(scope="module")
def samples(folder):
    drawn = DrawnFrames(folder)
    return default_collate([drawn[k] for k in range(4)])


def run_of(folder, tmp_path, **changes) -> TrainConfig:
    values = {
        "stage": "refinement", "output": str(tmp_path), "steps": 3, "device": "cpu", "size": HW,
        "precision": "fp32", "log_every": 1,
        "data": DataConfig(drawings=str(folder), batch_size=2),
        "model": ModelConfig(**puppets.SMALL), "loss": LossConfig(rgb=13.0, alpha=3.0, steady=5.0),
    }  # fmt: skip
    return TrainConfig(**{**values, **changes})


def test_crops_show_drawing_and_truth_in_the_same_place(samples) -> None:
    pair = refining.cut_drawings(samples, size_hw=HW)
    assert pair.drawn.shape == (4, 5, *HW)
    overlap = (pair.drawn[:, 3:4] * pair.alpha).sum() / pair.alpha.sum()
    assert overlap > 0.85
    hips = pair.pose.xy[:, [8, 11]].mean(1).round().long()
    assert all(pair.alpha[k, 0, y, x] > 0.5 for k, (x, y) in enumerate(hips.tolist()))


def test_faces_are_held_as_they_are_for_video(samples) -> None:
    # bug: the network spends its weights on faces, which are never given to it
    pair = refining.cut_drawings(samples, size_hw=HW)
    noses = pair.pose.xy[:, 0].round().long().tolist()
    known = pair.pose.known[:, [0, 14, 15]].any(1).tolist()
    assert any(known)
    for k, (x, y) in enumerate(noses):
        if known[k] and 0 <= x < HW[1] and 0 <= y < HW[0]:
            assert pair.held[k, 0, y, x] == 1
    assert 0 < pair.held.mean() < 0.03


def test_windows_lie_on_the_person_and_are_repeatable(samples) -> None:
    first, again = (
        refining.cut_drawings(samples, size_hw=HW, generator=torch.Generator().manual_seed(1))
        for _ in range(2)
    )
    assert first.drawn.shape[-2:] == (80, 64)
    for a, b in zip(first[:4], again[:4], strict=True):
        assert torch.equal(a, b)
    assert (first.alpha.flatten(1).mean(1) > 0.1).all()
    other = refining.cut_drawings(samples, size_hw=HW, generator=torch.Generator().manual_seed(2))
    assert not torch.equal(first.drawn, other.drawn)


def test_drawing_and_truth_change_colour_together(samples) -> None:
    # bug: the network learns to give people back the colour that was taken from them
    plain = refining.cut_drawings(samples, size_hw=HW)
    same = {**samples, "rgb": samples["drawn"][:, :3], "alpha": samples["drawn"][:, 3:4]}
    solid = (samples["drawn"][:, 3:4] == 255).to(torch.uint8)
    same = {**same, "rgb": same["rgb"] * solid, "alpha": 255 * solid}
    for seed in range(6):
        pair = refining.cut_drawings(
            same, size_hw=HW, generator=torch.Generator().manual_seed(seed)
        )
        inside = ((pair.alpha > 0.99) & (pair.drawn[:, 3:4] > 0.99)).float()
        assert ((pair.rgb - pair.drawn[:, :3]).abs() * inside).max() < 0.03
    assert plain.backdrop.unique().tolist() == [0.5]


def test_another_exposure_is_not_to_be_guessed(samples) -> None:
    pair = refining.cut_drawings(samples, size_hw=HW)
    darker = {**samples, "rgb": (samples["rgb"].float() * 0.7).to(torch.uint8)}
    again = refining.cut_drawings(darker, size_hw=HW)
    assert (again.rgb - pair.rgb).abs().max() < 0.02


@pytest.mark.parametrize("reshaped", [0.0, 1.0])
def test_the_second_view_is_the_first_one_a_little_moved(samples, reshaped: float) -> None:
    pair = refining.cut_drawings(
        samples, size_hw=HW, generator=torch.Generator().manual_seed(3), twice=True,
        reshaped=reshaped,
    )  # fmt: skip
    assert len(pair.drawn) == len(pair.pose.xy) == 8 and pair.again.shape == (4, 2, 80, 64)
    first, second = pair.drawn.chunk(2)
    aligned = (first - sample(second, pair.again)).abs().mean()
    assert aligned < 0.5 * (first - second).abs().mean()
    hip = pair.pose.xy[:4, 8].round().long()
    there = torch.stack([pair.again[k, :, y, x] for k, (x, y) in enumerate(hip.tolist())])
    assert (there - pair.pose.xy[4:, 8]).abs().max() < 2.5  # half a pixel of noise, rounding


def test_drawing_and_truth_get_the_same_shape(samples) -> None:
    # bug: the network learns to cut off big hair and wide sleeves, as no rendered people have them
    same = {**samples, "rgb": samples["drawn"][:, :3], "alpha": samples["drawn"][:, 3:4]}
    plain, other = (
        refining.cut_drawings(
            same, size_hw=HW, generator=torch.Generator().manual_seed(3), reshaped=reshaped
        )
        for reshaped in (0.0, 1.0)
    )
    assert (plain.alpha - other.alpha).abs().mean() > 0.005
    assert torch.equal(other.alpha, other.drawn[:, 3:4])
    assert len(other.drawn) == 4 and other.pose.xy.isfinite().all()


def test_steady_is_what_moves_with_the_drawing(samples) -> None:
    # bug: whatever is done to a drawing counts, so that nothing is done
    pair = refining.cut_drawings(
        samples, size_hw=HW, generator=torch.Generator().manual_seed(3), twice=True
    )
    plain = pair.drawn[:, :3] + (1 - pair.drawn[:, 3:4]) * pair.backdrop

    def steadiness(change: torch.Tensor) -> float:
        refined = refining.Refined(plain + change, pair.drawn[:, 3:4], None)
        return refining.refinement_terms(refined, pair, None)["steady"].item()

    moving = pair.drawn[:, 3:4]
    standing = torch.cat([moving[:4], moving[:4]])
    assert steadiness(torch.full_like(plain, 0.3)) < 0.03
    assert steadiness(moving) < 0.4 * steadiness(standing)


def test_crisp_outlines_may_lie_elsewhere_and_smeared_ones_may_not(samples) -> None:
    # bug: where it is not sure of an outline, the network leaves a haze
    pair = refining.cut_drawings(samples, size_hw=HW)
    pair = pair._replace(alpha=(pair.alpha > 0.5).float())

    def haze(alpha: torch.Tensor) -> float:
        refined = refining.Refined(pair.rgb, alpha, None)
        return refining.refinement_terms(refined, pair, None)["crisp"].item()

    assert haze(pair.alpha.roll(2, -1)) == 0
    assert haze(avg_pool2d(pair.alpha, 5, 1, 2)) > 0.01
    soft = pair._replace(alpha=avg_pool2d(pair.alpha, 5, 1, 2))  # as the truth itself is
    refined = refining.Refined(soft.rgb, soft.alpha.roll(1, -1), None)
    assert refining.refinement_terms(refined, soft, None)["crisp"] < 0.003


def test_a_blurred_picture_is_unlike_in_structure(samples) -> None:
    # bug: what is smooth is nearer on average, and is not what anybody wears
    pair = refining.cut_drawings(samples, size_hw=HW)
    noise = 0.2 * torch.rand(pair.rgb.shape, generator=torch.Generator().manual_seed(1))
    pair = pair._replace(rgb=torch.minimum(pair.rgb + noise * pair.alpha, pair.alpha))
    sharp = pair.rgb + (1 - pair.alpha) * pair.backdrop

    def unlike(rgb: torch.Tensor) -> float:
        refined = refining.Refined(rgb, pair.alpha, None)
        return refining.refinement_terms(refined, pair, None)["ssim"].item()

    assert unlike(sharp) == pytest.approx(0, abs=1e-4)
    assert unlike(avg_pool2d(sharp, 5, 1, 2)) > 0.2


def test_drawings_are_torn_and_the_truth_is_not(samples) -> None:
    same = {**samples, "rgb": samples["drawn"][:, :3], "alpha": samples["drawn"][:, 3:4]}
    for torn, least, most in ((0.0, 0.0, 0.0), (1.0, 0.003, 0.05)):
        pair = refining.cut_drawings(
            same, size_hw=HW, generator=torch.Generator().manual_seed(3), torn=torn
        )
        assert least <= (pair.drawn[:, 3:4] - pair.alpha).abs().mean() <= most


def test_terms_are_zero_for_the_truth_and_blind_where_held(samples) -> None:
    pair = refining.cut_drawings(samples, size_hw=HW)
    truth = pair.rgb + (1 - pair.alpha) * pair.backdrop
    exact = refining.Refined(truth, pair.alpha, None)
    terms = refining.refinement_terms(exact, pair, lambda x: [x]).values()
    assert all(abs(v) < 1e-6 for v in terms)
    wrong = refining.Refined(truth + 0.1, pair.alpha - 0.2, None)
    terms = refining.refinement_terms(wrong, pair, lambda x: [x])
    assert terms["rgb"].item() == pytest.approx(0.1, abs=1e-4)
    assert terms["alpha"].item() == pytest.approx(0.2, abs=1e-4)
    assert terms["perceptual"] > 0
    held = pair._replace(held=torch.ones_like(pair.held))
    assert all(abs(v) < 1e-4 for v in refining.refinement_terms(wrong, held, None).values())


def test_the_stage_trains_its_network_alone_and_ships_alone(folder, tmp_path) -> None:
    config = run_of(folder, tmp_path)
    done = train(config)
    torch.manual_seed(0)
    start = puppets.small_networks().state_dict()
    weights = load_trained(done).weights
    moved = {n.partition(".")[0] for n, t in weights.items() if not torch.equal(t, start[n])}
    assert moved == {"refinement"}
    notes = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"rgb", "alpha", "steady", "total"} <= notes[0].keys() and "flow" not in notes[0]
    assert (tmp_path / "run" / "sheets" / "0000003.png").is_file()
    export(done, tmp_path / "w.safetensors")
    again = load_pretrained(tmp_path / "w.safetensors")
    assert again.stage == "refinement" and not again.outlines and not again.paints
    with pytest.raises(WeightsError, match=r"trains flow for --generator pose-flow, got stage ref"):
        load_generator("pose-flow", tmp_path / "w.safetensors")
    ours = again.networks.refinement.state_dict()
    assert all(torch.allclose(ours[n], weights[f"refinement.{n}"], atol=2e-3) for n in ours)


def test_forty_steps_bring_the_drawing_nearer_to_the_truth(samples, small_networks) -> None:
    stage = refining.RefinementStage(small_networks, precision="fp32")
    pair = refining.cut_drawings(samples, size_hw=HW)
    optimizer = torch.optim.AdamW(stage.networks.refinement.parameters(), 3e-3)
    before = refining.score(stage, [samples], size_hw=HW)
    for _ in range(40):
        terms = refining.refinement_terms(stage(pair), pair, None)
        optimizer.zero_grad()
        (13 * terms["rgb"] + 3 * terms["alpha"]).backward()
        optimizer.step()
    after = refining.score(stage, [samples], size_hw=HW)
    assert after["psnr"] > before["psnr"] + 0.3 and after["alpha_iou"] > before["alpha_iou"]
    assert after["psnr_drawn"] == before["psnr_drawn"]


def test_a_first_batch_can_be_tried(folder, tmp_path) -> None:
    terms = try_batch(run_of(folder, tmp_path))
    assert terms["total"] == pytest.approx(
        13 * terms["rgb"] + 3 * terms["alpha"] + 5 * terms["steady"]
    )


@pytest.mark.parametrize(
    ("stage", "data"),
    [("refinement", {"shards": "x"}), ("flow", {"drawings": "x"})],
)
def test_stage_and_data_belong_together(stage, data) -> None:
    with pytest.raises(InputError, match="belong together, got stage"):
        TrainConfig(stage=stage, data=DataConfig(**data))
