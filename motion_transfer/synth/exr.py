"""Read the OpenEXR environment maps that are packed with DWA compression.

OpenCV's wheels are built without OpenEXR, and the engine must run where no media library is
installed, so the one flavour that is needed is decoded here: single-part scan-line files with
half-float R, G, B channels in DWAA or DWAB chunks with Huffman-coded AC coefficients (what
Blender and the three.js environments use). Format: ImfDwaCompressor.cpp and ImfHuf.cpp of
OpenEXR (BSD-3-Clause), read as documentation.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import cv2
import numba
import numpy as np
from einops import rearrange

_MAGIC = 20000630
_DWAA, _DWAB = 8, 9
_STATIC_HUFFMAN, _DEFLATE = 0, 1
_HALF = 1
_SHORT_ZERO_RUN, _LONG_ZERO_RUN = 59, 63
_MAX_CODE_BITS = 58
_ZIGZAG = np.array(
    [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
        12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
        35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
        58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    ]
)  # fmt: skip


def read_environment(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an environment map: DWA-compressed OpenEXR, or Radiance (`.hdr`).

    Returns:
        (H, W, 3) float32, linear RGB.

    Raises:
        ValueError: the file cannot be read.
    """
    if Path(path).suffix.lower() == ".exr":
        return read_exr(path)
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.dtype != np.float32 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"{path} is not a Radiance HDR picture")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def read_exr(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a DWA-compressed RGB image.

    Args:
        path: an OpenEXR file.

    Returns:
        (H, W, 3) float32, linear RGB, as stored (lossy compression can leave negatives).

    Raises:
        ValueError: the file is not OpenEXR or uses a feature that is not read here.
    """
    data = Path(path).read_bytes()
    attributes, offset = _read_header(data, path)
    compression = attributes["compression"][0]
    if compression not in (_DWAA, _DWAB):
        raise ValueError(
            f"{path}: compression must be DWAA or DWAB, got code {compression}; "
            "convert the map to Radiance .hdr"
        )
    channels = _channel_names(attributes["channels"], path)
    if channels != ["B", "G", "R"]:
        raise ValueError(f"{path}: channels must be half-float B, G, R, got {channels}")
    x0, y0, x1, y1 = struct.unpack("<4i", attributes["dataWindow"])
    height, width = y1 - y0 + 1, x1 - x0 + 1
    lines_per_chunk = 256 if compression == _DWAB else 32
    num_chunks = -(-height // lines_per_chunk)
    image = np.empty((height, width, 3), np.float32)
    for chunk in struct.unpack_from(f"<{num_chunks}Q", data, offset):
        top, size = struct.unpack_from("<ii", data, chunk)
        top -= y0
        lines = min(lines_per_chunk, height - top)
        image[top : top + lines] = _decode_chunk(data[chunk + 8 : chunk + 8 + size], lines, width)
    return image


def _read_header(data: bytes, path: str | os.PathLike[str]) -> tuple[dict[str, bytes], int]:
    """Attributes by name, and where the chunk offset table starts."""
    magic, version = struct.unpack_from("<II", data, 0)
    if magic != _MAGIC or version & 0x1A00:
        raise ValueError(f"{path} is not a single-part scan-line OpenEXR file")
    attributes: dict[str, bytes] = {}
    position = 8
    while data[position]:
        end = data.index(0, position)
        name = data[position:end].decode("latin-1")
        end = data.index(0, end + 1)
        (size,) = struct.unpack_from("<i", data, end + 1)
        attributes[name] = data[end + 5 : end + 5 + size]
        position = end + 5 + size
    return attributes, position + 1


def _channel_names(block: bytes, path: str | os.PathLike[str]) -> list[str]:
    names = []
    position = 0
    while block[position]:
        end = block.index(0, position)
        names.append(block[position:end].decode("latin-1"))
        (kind,) = struct.unpack_from("<i", block, end + 1)
        if kind != _HALF:
            raise ValueError(f"{path}: channel {names[-1]} must be half float, got type {kind}")
        position = end + 17
    return names


def _decode_chunk(chunk: bytes, lines: int, width: int) -> np.ndarray:
    """One DWA chunk to (lines, width, 3) float32 RGB."""
    fields = struct.unpack_from("<11Q", chunk, 0)
    version, unknown_size, ac_size, dc_size = fields[0], fields[2], fields[3], fields[4]
    ac_count, ac_kind = fields[8], fields[10]
    position = 88
    if version >= 2:
        position += struct.unpack_from("<H", chunk, position)[0]
    position += unknown_size
    packed_ac = chunk[position : position + ac_size]
    packed_dc = chunk[position + ac_size : position + ac_size + dc_size]
    if ac_kind == _STATIC_HUFFMAN:
        ac = _huffman_decode(packed_ac, ac_count)
    else:
        ac = np.frombuffer(zlib.decompress(packed_ac), "<u2")
    dc = np.frombuffer(_unpredict(zlib.decompress(packed_dc)), "<u2")
    blocks_y, blocks_x = -(-lines // 8), -(-width // 8)
    coefficients = _unpack_blocks(ac, dc, blocks_y * blocks_x).view(np.float16).astype(np.float32)
    square = np.zeros_like(coefficients)
    square[..., _ZIGZAG] = coefficients
    square = square.reshape(blocks_y, blocks_x, 3, 8, 8)
    basis = _dct_basis()
    spatial = rearrange(basis.T @ square @ basis, "y x c i j -> (y i) (x j) c")[:lines, :width]
    luma, blue, red = spatial[..., 0], spatial[..., 1], spatial[..., 2]
    rgb = np.stack(
        [luma + 1.5747 * red, luma - 0.1873 * blue - 0.4682 * red, luma + 1.8556 * blue], -1
    )
    return _to_linear(rgb)


def _unpredict(data: bytes) -> bytes:
    """Undo OpenEXR's byte predictor and the split into even and odd bytes."""
    deltas = np.frombuffer(data, np.uint8).astype(np.int64)
    deltas[1:] -= 128
    plain = np.cumsum(deltas).astype(np.uint8)
    half = (len(plain) + 1) // 2
    out = np.empty_like(plain)
    out[0::2], out[1::2] = plain[:half], plain[half:]
    return out.tobytes()


def _dct_basis() -> np.ndarray:
    """Orthonormal 8-point DCT-II basis, row = frequency."""
    k, n = np.mgrid[:8, :8]
    basis = 0.5 * np.cos((2 * n + 1) * k * np.pi / 16)
    basis[0] *= np.sqrt(0.5)
    return basis.astype(np.float32)


def _to_linear(perceptual: np.ndarray) -> np.ndarray:
    """DWA's transfer curve: a 2.2 power up to one, exponential above."""
    size = np.abs(perceptual)
    with np.errstate(over="ignore"):
        above = np.exp(2.2 * (np.minimum(size, 8.0) - 1))
    return (np.sign(perceptual) * np.where(size <= 1, size**2.2, above)).astype(np.float32)


@numba.njit(cache=True)
def _unpack_blocks(ac, dc, num_blocks):
    """Run-length coded AC and planar DC values to (blocks, 3, 64) half-float bits, zigzag order."""
    out = np.zeros((num_blocks, 3, 64), np.uint16)
    position = 0
    for block in range(num_blocks):
        for channel in range(3):
            out[block, channel, 0] = dc[channel * num_blocks + block]
            k = 1
            while k < 64:
                value = ac[position]
                position += 1
                if value == 0xFF00:
                    break
                if (value >> 8) == 0xFF:
                    k += value & 0xFF
                else:
                    out[block, channel, k] = value
                    k += 1
    return out


def _huffman_decode(data: bytes, count: int) -> np.ndarray:
    """OpenEXR's canonical Huffman code over 16-bit symbols: (count,) uint16."""
    first, last, _, num_bits, _ = struct.unpack_from("<5I", data, 0)
    stream = np.frombuffer(data, np.uint8)[20:]
    lengths, used = _huffman_lengths(stream, first, last)
    return _huffman_symbols(stream[used:], lengths, num_bits, last, count)


@numba.njit(cache=True)
def _bits(stream, position, count):
    """`count` bits (most significant first) at bit `position`."""
    value = 0
    for k in range(position, position + count):
        value = (value << 1) | ((stream[k >> 3] >> (7 - (k & 7))) & 1)
    return value


@numba.njit(cache=True)
def _huffman_lengths(stream, first, last):
    """Code length of every symbol, and the bytes that the table takes."""
    lengths = np.zeros(65537, np.int64)
    position = 0
    symbol = first
    while symbol <= last:
        length = _bits(stream, position, 6)
        position += 6
        if length == _LONG_ZERO_RUN:
            symbol += _bits(stream, position, 8) + 2 + _LONG_ZERO_RUN - _SHORT_ZERO_RUN
            position += 8
        elif length >= _SHORT_ZERO_RUN:
            symbol += length - _SHORT_ZERO_RUN + 2
        else:
            lengths[symbol] = length
            symbol += 1
    return lengths, (position + 7) // 8


@numba.njit(cache=True)
def _huffman_symbols(stream, lengths, num_bits, run_symbol, count):
    """Decode by canonical code ranges; `run_symbol` repeats the last value."""
    per_length = np.zeros(_MAX_CODE_BITS + 2, np.int64)
    for symbol in range(65537):
        per_length[lengths[symbol]] += 1
    per_length[0] = 0
    # OpenEXR numbers codes from the longest length down.
    first_code = np.zeros(_MAX_CODE_BITS + 2, np.int64)
    code = 0
    for length in range(_MAX_CODE_BITS, 0, -1):
        first_code[length] = code
        code = (code + per_length[length]) >> 1
    start = np.zeros(_MAX_CODE_BITS + 2, np.int64)
    for length in range(1, _MAX_CODE_BITS + 1):
        start[length] = start[length - 1] + per_length[length - 1]
    fill = start.copy()
    ordered = np.zeros(65537, np.int64)
    for symbol in range(65537):
        if lengths[symbol]:
            ordered[fill[lengths[symbol]]] = symbol
            fill[lengths[symbol]] += 1
    out = np.zeros(count, np.uint16)
    written = 0
    code = 0
    length = 0
    position = 0
    while position < num_bits and written < count:
        code = (code << 1) | ((stream[position >> 3] >> (7 - (position & 7))) & 1)
        position += 1
        length += 1
        index = code - first_code[length]
        if 0 <= index < per_length[length]:
            symbol = ordered[start[length] + index]
            if symbol == run_symbol:
                run = _bits(stream, position, 8)
                position += 8
                for _ in range(run):
                    out[written] = out[written - 1]
                    written += 1
            else:
                out[written] = symbol
                written += 1
            code = 0
            length = 0
    return out
