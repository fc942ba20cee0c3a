import os
from pathlib import Path

import pytest

from motion_transfer.errors import WeightsError
from motion_transfer.pose.blazepose import BlazePose


@pytest.fixture(scope="session")
def blazepose():
    try:
        return BlazePose()
    except WeightsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def media():
    """Real clips for local testing; the project ships none."""
    default = Path(__file__).parents[3] / "shared" / "media"
    folder = Path(os.environ.get("MOTION_TRANSFER_MEDIA", default))
    if not folder.is_dir():
        pytest.skip(f"no real clips: {folder}")
    return folder
