"""`motion-transfer train`."""

import json

import puppets
import pytest
import yaml

from motion_transfer.cli import main
from motion_transfer.generator.pretrained import load_pretrained


@pytest.fixture
def config_file(tmp_path, shards):
    path = tmp_path / "config.yaml"
    tree = {
        "name": "one", "output": str(tmp_path / "out"), "steps": 1, "log_every": 1,
        "size": list(puppets.SIZE_HW), "device": "cpu",
        "data": {"shards": str(shards), "batch_size": 2},
        "model": {name: list(widths) for name, widths in puppets.SMALL.items()},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(tree))
    return path


def test_train_from_the_command_line(config_file, tmp_path, capsys) -> None:
    main(["train", str(config_file), "--set", "steps=2", "--set", "data.batch_size=3"])
    assert "step-0000002" in capsys.readouterr().out
    notes = (tmp_path / "out" / "one" / "log.jsonl").read_text().splitlines()
    assert [json.loads(n)["step"] for n in notes] == [1, 2]
    main(["export", str(tmp_path / "out" / "one"), str(tmp_path / "w.safetensors")])
    exported = load_pretrained(tmp_path / "w.safetensors")
    assert sum(p.numel() for p in exported.networks.parameters()) > 0
    assert exported.stage == "flow"


def test_dry_run_writes_nothing(config_file, tmp_path, capsys) -> None:
    main(["train", str(config_file), "--dry-run", "--set", "stage=joint"])
    shown = capsys.readouterr().out
    for word in ("stage: joint", "GFLOP per frame", "loss total", "loss rgb"):
        assert word in shown
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "optim.rte=1"], "did you mean 'optim.rate'"),
        (["--set", "data.shards=/nowhere"], "no shards"),
    ],
)
def test_mistakes_are_one_line(config_file, capsys, arguments, message) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", str(config_file), *arguments])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
