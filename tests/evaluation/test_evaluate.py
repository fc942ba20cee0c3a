"""Whole evaluations: on puppets with exact truth, on pairs, and on a short clip."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import puppets
import pytest

from motion_transfer import cli
from motion_transfer.errors import InputError
from motion_transfer.evaluation import evaluate as module
from motion_transfer.evaluation.config import (
    ClipConfig,
    EvaluateConfig,
    GeneratorConfig,
    PairsConfig,
    SyntheticConfig,
)
from motion_transfer.evaluation.evaluate import evaluate
from motion_transfer.evaluation.pairs import count_pairs, read_pairs
from motion_transfer.evaluation.renderers import fingerprint
from motion_transfer.evaluation.report import write_report
from motion_transfer.evaluation.results import Result, Store
from motion_transfer.evaluation.synthetic import make_case
from motion_transfer.generator.pretrained import save_networks
from motion_transfer.pose.track import PoseTrack
from motion_transfer.training.config import build, load_options
from motion_transfer.training.datasets import pictures

OWN = EvaluateConfig.generators


def read_json(run: Path) -> dict:
    return json.loads((run / "results.json").read_text())


def means(run: Path, protocol: str, metric: str) -> dict[str, float]:
    table = read_json(run)["protocols"][protocol]["means"]
    return {name: float(cell["mean"]) for name, cell in table[metric].items()}


@pytest.fixture(scope="module")
def copied(shards, tmp_path_factory) -> Path:
    """True frames as somebody else's output, one folder for each case."""
    folder = tmp_path_factory.mktemp("copied")
    for number in range(3):
        case = make_case(puppets.make_sample(number, frames=2), "", pose="exact")
        place = folder / "synthetic" / f"{number:05d}"
        place.mkdir(parents=True)
        for frame, truth in case.truths.items():
            cv2.imwrite(str(place / f"{frame}.png"), truth.rgb[..., ::-1])
    return folder


@pytest.fixture(scope="module")
def config(shards, copied, tmp_path_factory) -> EvaluateConfig:
    peers = (
        GeneratorConfig(name="a copy", kind="frames", frames=f"{copied}/{{case}}"),
        GeneratorConfig(name="a command", kind="command", command=copying_command()),
    )
    return EvaluateConfig(
        name="puppets", output=str(tmp_path_factory.mktemp("runs")), generators=(*OWN, *peers),
        synthetic=SyntheticConfig(shards=str(shards), num=3, pose="exact"), faces=False,
    )  # fmt: skip


def copying_command() -> str:
    """A generator that shows the driving frames, as another program would be called."""
    code = (
        "import sys,shutil,os; assert os.path.isfile(sys.argv[1]); "
        "assert sys.argv[3].endswith('.npz'); shutil.copytree(sys.argv[2], sys.argv[4])"
    )
    return f'{sys.executable} -c "{code}" {{photo}} {{driving}} {{track}} {{output}}'


@pytest.fixture(scope="module")
def run(config, networks) -> Path:
    page = evaluate(config)
    assert page.name == "index.html"
    return page.parent


def test_the_truth_is_perfect_and_the_puppet_beats_the_still_photo(run):
    assert means(run, "synthetic", "epe")["truth"] == 0
    assert means(run, "synthetic", "alpha_iou")["truth"] == 1
    assert means(run, "synthetic", "parse_miou")["truth"] > 0.97  # labels at the nearest pixel
    assert means(run, "synthetic", "visibility_f1")["truth"] == 1
    assert means(run, "synthetic", "l1_person")["truth"] == 0
    for metric in ("epe", "l1_person"):
        values = means(run, "synthetic", metric)
        assert values["truth"] < values["articulated"] < values["photo still"], metric
    for metric in ("alpha_iou", "ssim_person", "parse_miou"):
        values = means(run, "synthetic", metric)
        assert values["truth"] > values["articulated"] > values["photo still"], metric


@pytest.mark.parametrize("peer", ["a copy", "a command"])
def test_a_peers_output_stands_in_the_same_table(run, peer):
    assert means(run, "synthetic", "l1_person")[peer] == 0
    assert peer not in means(run, "synthetic", "epe")  # a picture says nothing of flow
    assert means(run, "synthetic", "frames_missing")[peer] == 0


def test_the_comparison_is_clip_by_clip(run):
    cell = read_json(run)["protocols"]["synthetic"]["compared"]["l1_person"]["photo still"]
    with (run / "results.csv").open() as file:
        rows = {(r["case"], r["generator"]): float(r["l1_person"]) for r in csv.DictReader(file)}
    assert len(rows) == 3 * 5
    apart = [rows[c, "photo still"] - rows[c, "articulated"] for c in ("00000", "00001", "00002")]
    assert cell["difference"] == pytest.approx(np.mean(apart))
    assert cell["num"] == 3
    with (run / "frames.csv").open() as file:
        assert {r["frame"] for r in csv.DictReader(file)} == {"0"}


def test_the_page_holds_everything_itself(run):
    page = (run / "index.html").read_text()
    if "features_person" not in page:
        pytest.skip("worst cases are chosen by the feature network, whose file is not there")
    assert "data:image/jpeg;base64," in page
    assert "http" not in page.replace("http-equiv", "")
    for text in ("a copy", "Worst cases", 'type="range"', "epe ↓"):
        assert text in page, text


def test_a_run_goes_on_where_it_was(run, config, monkeypatch):
    before = {p: p.read_bytes() for p in run.rglob("*.json")}
    lost = next(iter((run / "results/synthetic/articulated").glob("00001.json")))
    lost.unlink()
    measured = []
    original = module._measure

    def watched(case, generator, *args, **named):
        measured.append((case.name, generator))
        return original(case, generator, *args, **named)

    monkeypatch.setattr(module, "_measure", watched)
    evaluate(config)
    assert measured == [("00001", "articulated")]
    assert {p: p.read_bytes() for p in run.rglob("*.json")} == before
    evaluate(dataclasses.replace(config, smooth=0.25, generators=OWN))
    assert len(measured) == 1 + 3 * 3  # another option: everything of this protocol again


def test_nothing_is_left_behind_by_commands(run):
    assert not list((run / "work").rglob("*.npz"))


def pair_folder(folder: Path) -> Path:
    """Prepared pictures as `dataset prepare` writes them: three pairs of puppets."""
    folder.mkdir()
    shown, pairs = [], []
    for seed in range(3):
        sample = puppets.make_sample(seed)
        case = make_case(sample, "", pose="exact")
        for view, track in enumerate((case.source.pose, case.targets)):
            joints = np.concatenate(
                [track.xy[0], np.full((33, 1), np.nan), track.confidence[0][:, None]], 1
            )
            shown.append(pictures.Picture(
                name=f"{seed}-{view}", rgb=sample.rgb[view], alpha=sample.alpha[view],
                joints=joints.astype(np.float32),
            ))  # fmt: skip
        pairs.append((f"{seed}-0", f"{seed}-1"))
    pictures.write_shard(folder / "test-00000.npz", shown, [])
    (folder / "about.json").write_text(json.dumps({"size": puppets.SIZE_HW}))
    lines = "".join(f"{a},{b}\n" for a, b in pairs)
    (folder / "pairs-test.csv").write_text(f"from,to\n{lines}")
    (folder / "left-out.csv").write_text("picture,reason\n")
    return folder


def test_pairs_of_a_data_set(tmp_path, networks):
    pairs = PairsConfig(folder=str(pair_folder(tmp_path / "set")))
    assert count_pairs(pairs) == 3
    assert count_pairs(dataclasses.replace(pairs, num=2)) == 2
    assert [name for name, *_ in read_pairs(dataclasses.replace(pairs, num=2))] == [
        "00000", "00001"
    ]  # fmt: skip
    config = EvaluateConfig(name="pairs", output=str(tmp_path), pairs=pairs, faces=False)
    run = evaluate(config).parent
    for metric in ("psnr", "ssim", "ssim_gfla", "ssim_gfla_256"):
        values = means(run, "pairs", metric)
        assert values["articulated"] > values["photo still"], metric
    assert means(run, "pairs", "ssim")["truth"] == pytest.approx(1)


@pytest.fixture(scope="module")
def clip_run(dance, person, tmp_path_factory) -> Path:
    config = EvaluateConfig(
        name="clip", output=str(tmp_path_factory.mktemp("clips")), every=10, matte="fast",
        self_clips=(ClipConfig(driving=str(dance), name="dance"),),
        cross_clips=(ClipConfig(driving=str(dance), photo=str(person), end=0.5),),
        faces=False, videos=True, max_side=256,
    )  # fmt: skip
    return evaluate(config).parent


def test_self_reenactment_against_the_true_frames(clip_run):
    frames = [
        r for r in csv.DictReader((clip_run / "frames.csv").open()) if r["protocol"] == "self"
    ]
    assert {r["frame"] for r in frames} == {"10", "20"}  # 0 is the photo
    values = means(clip_run, "self", "l1_person")
    assert values["truth"] == 0 < values["articulated"] < values["photo still"]
    assert means(clip_run, "self", "flicker")["photo still"] > 0
    assert means(clip_run, "self", "background")["articulated"] < 0.1  # a plate stands still
    akd = means(clip_run, "self", "akd")
    assert akd["truth"] < akd["photo still"]


def test_cross_reenactment_and_its_finished_video(clip_run):
    values = read_json(clip_run)["protocols"]["cross"]["means"]
    assert "l1_person" not in values  # there is no truth
    assert values["akd"]["articulated"]["mean"] < values["akd"]["photo still"]["mean"]
    assert values["frame_count"]["articulated"]["mean"] == 0
    assert values["fps"]["articulated"]["mean"] == 0
    assert values["audio_offset"]["articulated"]["mean"] < 0.034


def test_frames_that_a_result_lacks_are_counted(copied, shards, tmp_path, networks):
    for case in (copied / "synthetic").iterdir():
        target = tmp_path / "short" / "synthetic" / case.name
        target.mkdir(parents=True)
        (target / "0.png").write_bytes((case / "0.png").read_bytes())
    cut = GeneratorConfig(name="cut", kind="frames", frames=f"{tmp_path}/short/{{case}}")
    config = EvaluateConfig(
        name="cut", output=str(tmp_path), generators=(cut,), reference="cut", faces=False,
        synthetic=SyntheticConfig(shards=str(shards), num=1, pose="exact"),
    )  # fmt: skip
    run = evaluate(config).parent
    assert means(run, "synthetic", "frames_missing")["cut"] == 0  # frame 1 is not measured
    assert "flicker" not in read_json(run)["protocols"]["synthetic"]["means"]


@pytest.mark.parametrize(("kind", "stage"), [("pose-flow", "flow"), ("refined", "refinement")])
def test_a_learned_generator_and_its_weights(shards, tmp_path, networks, kind, stage):
    weights = tmp_path / "w.safetensors"

    def save() -> None:
        small = puppets.small_networks()
        save_networks(weights, small.state_dict(), model=dict(puppets.SMALL), stage=stage)

    learned = GeneratorConfig(name="learned", kind=kind, weights=str(weights))
    config = EvaluateConfig(
        name="learned", output=str(tmp_path), generators=(learned,), reference="learned",
        synthetic=SyntheticConfig(shards=str(shards), num=1, pose="exact"), faces=False,
    )  # fmt: skip
    with pytest.raises(FileNotFoundError, match=r"no such file: .*w\.safetensors"):
        evaluate(config)
    save()
    values = read_json(evaluate(config).parent)["protocols"]["synthetic"]["means"]
    assert {"epe", "alpha_iou", "visibility_f1", "l1_person"} <= values.keys()
    before = fingerprint(learned)
    weights.write_bytes(weights.read_bytes() + b" ")
    assert fingerprint(learned) != before  # other weights are other results


def test_a_command_that_fails_says_why(shards, tmp_path, networks):
    command = f"{sys.executable} -c \"raise SystemExit('no weights here')\" {{output}}"
    config = EvaluateConfig(
        name="bad", output=str(tmp_path), reference="theirs", faces=False,
        generators=(GeneratorConfig(name="theirs", kind="command", command=command),),
        synthetic=SyntheticConfig(shards=str(shards), num=1, pose="exact"),
    )  # fmt: skip
    with pytest.raises(InputError, match=r"generator theirs: the command .* no weights here"):
        evaluate(config)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({}, "nothing to evaluate: give synthetic.shards, pairs.folder"),
        ({"self_clip": []}, "unknown setting 'self_clip'; did you mean 'self_clips'"),
        ({"self_clips": {"driving": "a.mp4"}}, "self_clips must be a list"),
        ({"self_clips": [{"drivin": "a"}]}, r"did you mean 'self_clips\[0\]\.driving'"),
        ({"self_clips": [{"driving": "a", "photo": "b"}]}, "use cross_clips for another photo"),
        ({"cross_clips": [{"driving": "a"}]}, "cross_clips: a needs a photo"),
        ({"self_clips": [{"driving": "a"}], "reference": "none"}, "reference must be one of the g"),
        ({"self_clips": [{"driving": "a"}], "published": ["FVD"]}, "published must be of fid"),
        ({"generators": [{"name": "a", "kind": "frames"}]}, "frames belongs to kind frames, and m"),
        ({"generators": [{"name": "a", "kind": "still", "weights": "w"}]}, "weights belong to kin"),
        ({"generators": [{"name": "a", "kind": "stil"}]}, r"generators\[0\]\.kind must be one of"),
    ],
)
def test_options_that_cannot_be_used(tree, message):
    with pytest.raises(InputError, match=message):
        build(EvaluateConfig, tree)


def test_the_shipped_options_are_read():
    path = Path(__file__).parents[2] / "configs" / "evaluate.yaml"
    config = load_options(EvaluateConfig, path, ["synthetic.num=5"])
    assert config.synthetic is not None and config.synthetic.num == 5


def test_too_few_samples(shards, tmp_path, networks, capsys):
    path = tmp_path / "e.yaml"
    path.write_text("faces: false\ngenerators: [{name: articulated, kind: still}]\n")
    settings = [f"output={tmp_path}", f"synthetic.shards={shards}", "synthetic.num=9"]
    with pytest.raises(SystemExit) as caught:
        cli.main(["evaluate", str(path), *(part for s in settings for part in ("--set", s))])
    assert caught.value.code == 2
    assert "must hold 9 samples, got 8; lower synthetic.num" in capsys.readouterr().err


def test_the_scale_of_a_tracked_puppet_does_not_depend_on_its_tracker():
    exact = make_case(puppets.make_sample(0), "", pose="exact")
    tracked = make_case(puppets.make_sample(0), "", pose="tracked")
    assert isinstance(exact.targets, PoseTrack)
    np.testing.assert_allclose(exact.targets.px_per_metre, tracked.targets.px_per_metre)


def test_motion_to_the_next_frame_is_exact():
    sample = puppets.make_sample(3, frames=2)
    truth = make_case(sample, "", pose="exact").truths[0]
    assert truth.motion is not None and truth.motion_known is not None
    known = truth.motion_known
    assert known.sum() > 200
    rows, columns = np.nonzero(known)
    moved = np.round(truth.motion[:, rows, columns]).astype(int)
    there = sample.part[2][rows + moved[1], columns + moved[0]]
    assert (there == sample.part[1][rows, columns]).mean() > 0.95


def test_what_was_behind_a_rendered_person_does_not_count():
    # bug: who draws clean rims scores worse than who draws the render's backdrop into them
    dark, light = (
        make_case(puppets.with_soft_rims(puppets.make_sample(3), backdrop=b), "", pose="exact")
        for b in (0, 255)
    )
    rim = (dark.truths[0].alpha > 0.2) & (dark.truths[0].alpha < 0.8)
    assert rim.sum() > 100
    apart = dark.truths[0].rgb[rim].astype(int) - light.truths[0].rgb[rim]
    assert np.abs(apart).mean() < 10


def test_photos_of_one_clip_are_one_clip_in_the_effect(tmp_path):
    clips = (
        ClipConfig(driving="a.mp4", name="a-0"),
        ClipConfig(driving="a.mp4", name="a-9", photo_frame=9),
        ClipConfig(driving="b.mp4", name="b"),
    )
    generators = tuple(GeneratorConfig(name=n, kind="articulated") for n in ("articulated", "new"))
    config = EvaluateConfig(name="x", self_clips=clips, generators=generators)
    store, gains = Store(tmp_path), {"a-0": 1.0, "a-9": 3.0, "b": 4.0}  # 2 and 4 of the clips
    for clip, gain in gains.items():
        for generator, value in (("articulated", 16.0), ("new", 16.0 + gain)):
            result = Result(
                protocol="self", case=clip, generator=generator,
                values={"psnr_person": value}, frames={},
            )  # fmt: skip
            store.write(result, np.zeros((0, 0), np.float32), key="")
    page = write_report(store, config).read_text("utf-8")
    compared = read_json(tmp_path)["protocols"]["self"]["compared"]["psnr_person"]["new"]
    assert compared["effect"] == pytest.approx(3 / np.sqrt(2))
    assert "gain over its spread from driving clip to driving clip +2.12" in page
