import subprocess
import sys

import motion_transfer
from motion_transfer.pipeline import transfer


def test_the_product_is_one_name_away() -> None:
    # bug: the README's first line of Python does not work
    assert motion_transfer.transfer is transfer


def test_importing_does_no_work() -> None:
    # bug: `import motion_transfer` takes seconds, or needs a package that is optional
    code = (
        "import sys, motion_transfer; "
        "print(*(m for m in ('torch', 'av', 'cv2') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
