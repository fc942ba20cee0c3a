"""Options from YAML and --set."""

import pytest
import yaml

from motion_transfer.errors import InputError
from motion_transfer.training.config import TrainConfig, as_tree, build, load_config


def test_only_what_differs(tmp_path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("data: {shards: here}\noptim: {rate: 1e-3}\nsize: [64, 48]\n")
    config = load_config(path, ["data.batch_size=3", "loss.flow=2", "stage=joint", "minutes=1"])
    assert config.optim.rate == 1e-3 and config.data.batch_size == 3
    assert config.loss.flow == 2.0 and config.size == (64, 48) and config.minutes == 1.0
    assert config.data.workers == TrainConfig(data=config.data).data.workers


def test_resolved_options_read_back(tmp_path) -> None:
    config = load_config("configs/tiny.yaml")
    path = tmp_path / "resolved.yaml"
    path.write_text(yaml.safe_dump(as_tree(config)))
    assert load_config(path) == config


@pytest.mark.parametrize("name", ["tiny", "base", "deepfashion"])
def test_shipped_files(name) -> None:
    assert load_config(f"configs/{name}.yaml").name == name


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"optim": {"rat": 1}}, "unknown setting 'optim.rat'; did you mean 'optim.rate'?"),
        ({"stages": "flow"}, "did you mean 'stage'?"),
        ({"stage": "flou"}, "stage must be one of flow, garment"),
        ({"steps": "many"}, "steps must be int, got 'many'"),
        ({"steps": True}, "steps must be int, got True"),
        ({"size": [256]}, "size must be a list of 2 numbers"),
        ({"optim": 3}, "optim is a group of settings, got 3"),
        ({}, "exactly one of data.assets, data.shards"),
        ({"data": {"shards": "a"}, "size": [100, 100]}, "size must be multiples of 16"),
        ({"data": {"assets": "a"}, "loss": {"temporal": 1.0}}, "data.frames of at least 2"),
        ({"data": {"shards": "a"}, "steps": None}, "steps may be null only with minutes"),
        ({"data": {"assets": "a", "resident": True}}, "data.resident is for shards and drawings"),
    ],
)
def test_mistakes(tree, message) -> None:
    with pytest.raises(InputError, match=message.replace("?", r"\?").replace("(", r"\(")):
        build(TrainConfig, tree)


def test_mistakes_in_files(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="no such configuration"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(InputError, match="must hold names and values"):
        load_config(tmp_path / "list.yaml")
    with pytest.raises(InputError, match="--set must look like"):
        load_config("configs/tiny.yaml", ["data.batch_size"])
    with pytest.raises(InputError, match="name is a value, not a group"):
        load_config("configs/tiny.yaml", ["name.x=1"])
