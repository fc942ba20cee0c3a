"""The puppet's drawings of rendered people."""

import dataclasses

import numpy as np
import puppets
import pytest
import torch

from motion_transfer.cli import main
from motion_transfer.errors import InputError
from motion_transfer.training.drawings import DrawnFrames, draw_sample, write_drawings


def test_a_drawing_lies_over_the_truth() -> None:
    sample = puppets.make_sample(3, frames=2, swing=0.3)
    found = list(draw_sample(sample, noise=0.0))
    assert [d.name for d in found] == ["puppet 3 0", "puppet 3 1"]
    for number, drawing in enumerate(found):
        truth, ours = sample.alpha[number + 1] > 127, drawing.drawn[..., 3] > 127
        assert (truth & ours).sum() / (truth | ours).sum() > 0.75
        assert np.array_equal(drawing.rgb[truth], sample.rgb[number + 1][truth])
        both = truth & ours
        error = np.abs(drawing.drawn[both][:, :3].astype(float) - drawing.rgb[both]).mean()
        assert error < np.abs(drawing.rgb[both] - drawing.rgb[both].mean(0)).mean()
        assert drawing.drawn[..., 4].max() == 255  # the same side is seen as in the photo
        assert drawing.joints.shape == (33, 4)


def test_the_truth_has_nothing_of_what_was_behind_it() -> None:
    # bug: soft rims of the truth show the render's backdrop, so halos are learned
    sample, truths = puppets.make_sample(3, swing=0.3), []
    for backdrop in (0, 255):
        seen = puppets.with_soft_rims(sample, backdrop=backdrop)
        (drawing,) = draw_sample(seen, noise=0.0)
        rim = (drawing.alpha > 40) & (drawing.alpha < 200)
        truths.append(drawing.rgb[rim].astype(int))
    assert np.abs(truths[0] - truths[1]).mean() < 10


def test_only_a_share_of_the_trackers_errors_is_kept() -> None:
    # bug: puppets that are torn apart by noise that no smoothed track has
    sample = puppets.make_sample(4, swing=0.0)
    tracked = sample.tracked.copy()
    tracked[1, :, 0] += 1.0
    sample = dataclasses.replace(sample, tracked=tracked)
    plain, half = (next(draw_sample(sample, noise=n)).joints for n in (0.0, 0.5))
    assert np.allclose(half[:, 0] - plain[:, 0], 0.5, atol=1e-3)
    assert np.allclose(half[:, 1], plain[:, 1], atol=1e-3)


def test_far_off_frames_are_left_out() -> None:
    sample = puppets.make_sample(4, swing=0.0)
    tracked = sample.tracked.copy()
    tracked[1, :, 0] += 60.0
    assert not list(draw_sample(dataclasses.replace(sample, tracked=tracked), noise=1.0))


def test_shards_are_drawn_and_read_back(shards, tmp_path, capsys) -> None:
    folder = tmp_path / "drawings"
    main(["synth", "drawings", "--shards", str(shards), "--output", str(folder)])
    samples = DrawnFrames(folder)
    assert f"{len(samples)} drawings" in capsys.readouterr().out and len(samples) > 4
    first, one = samples[0], samples[len(samples) - 1]
    assert {n: tuple(t.shape) for n, t in one.items()} == {
        "drawn": (6, *puppets.SIZE_HW), "rgb": (3, *puppets.SIZE_HW),
        "alpha": (1, *puppets.SIZE_HW), "joints": (33, 4),
    }  # fmt: skip
    assert one["drawn"].dtype == torch.uint8
    before = [p.stat().st_mtime_ns for p in samples.paths]
    main(["synth", "drawings", "--shards", str(shards), "--output", str(folder)])
    assert [p.stat().st_mtime_ns for p in samples.paths] == before  # goes on where it was
    samples.paths[0].unlink()
    other = ["--workers", "2", "--shards", str(shards), "--output", str(folder)]
    main(["synth", "drawings", *other])  # bug: processes draw with other noise than one
    again = DrawnFrames(folder)[0]
    assert all(torch.equal(again[n], first[n]) for n in first)


def test_folders_that_are_no_drawings(shards, tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="motion-transfer synth drawings"):
        DrawnFrames(tmp_path)
    with pytest.raises(InputError, match="must hold drawings of version 1"):
        DrawnFrames(shards)
    with pytest.raises(InputError, match="or lower --noise"):
        write_drawings(tmp_path / "none.npz", [])


@pytest.mark.parametrize(("option", "value"), [("--noise", "1.5"), ("--workers", "0")])
def test_mistakes_are_one_line(shards, tmp_path, capsys, option, value) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(
            ["synth", "drawings", "--shards", str(shards), "--output", str(tmp_path), option, value]
        )
    assert stopped.value.code == 2
    assert f"{option} must be" in capsys.readouterr().err and not list(tmp_path.iterdir())
