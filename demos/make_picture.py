"""The README's picture: photo, five frames of the dance, the same five of the result.

make demo && python -m demos.make_picture
"""

from pathlib import Path

from PIL import Image

from motion_transfer.media.photo import read_photo
from motion_transfer.media.sample import contact_sheet, sample_frames

ROOT = Path(__file__).resolve().parent.parent
NUM_FRAMES, CELL_HEIGHT = 5, 300


def main() -> None:
    """Write `docs/demo.jpg`."""
    photo = read_photo(ROOT / "demos" / "person.jpg").rgb
    dance = sample_frames(ROOT / "demos" / "dance.mp4", num_frames=NUM_FRAMES)
    result = sample_frames(ROOT / "out" / "demo.mp4", num_frames=NUM_FRAMES)
    narrow = [frame[:, frame.shape[1] // 5 : -frame.shape[1] // 5] for frame in dance]
    sheet = contact_sheet(
        [photo, *narrow, photo, *result], columns=NUM_FRAMES + 1, cell_height=CELL_HEIGHT
    )
    Image.fromarray(sheet).save(ROOT / "docs" / "demo.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()
