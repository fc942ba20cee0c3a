"""Dress a body anew: recoloured, printed and exchanged clothes, skin and hair tones.

Everything happens in UV. Prints are functions of the place on the mean body, so stripes run
around the body and a logo sits on the chest whatever the atlas looks like.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from motion_transfer.synth.backdrop import fractal_noise, random_lattice
from motion_transfer.synth.body import WIG, Body, Texture, shrink
from motion_transfer.synth.labels import ANKLE, ARM, FOOT, TRUNK, AtlasMap
from motion_transfer.synth.rig import PARSE_INDEX

TEXTURE_SIZE = 512
_HAIR_TONES = (
    (20, 16, 14), (38, 26, 20), (62, 42, 28), (92, 60, 36), (128, 88, 52), (172, 130, 82),
    (205, 170, 120), (120, 56, 30), (150, 145, 140), (215, 210, 205),
)  # fmt: skip
_SKIN = ("face", "arms", "legs")
_PRINTS = (
    "plain", "hoops", "stripes", "checks", "dots", "blobs", "halves", "logo", "fade", "weave",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Wardrobe:
    """How often what is changed; probabilities.

    Args:
        keep: the outfit stays as it is.
        swap: the outfit is taken from another avatar (then perhaps recoloured).
        recolour: a garment gets a new colour or print.
        skin: the skin tone changes.
        hair: the hair colour changes.
    """

    keep: float = 0.15
    swap: float = 0.35
    recolour: float = 0.75
    skin: float = 0.5
    hair: float = 0.5


def redress(
    body: Body,
    rng: np.random.Generator,
    *,
    atlas: AtlasMap | None = None,
    donor: Texture | None = None,
    wardrobe: Wardrobe | None = None,
    size: int = TEXTURE_SIZE,
) -> Body:
    """A body in other clothes.

    Args:
        body: who.
        rng: decides.
        atlas: place of the texels on the body, for avatars of the shared topology; without it
            prints follow the atlas' own axes.
        donor: texture of another avatar of the shared topology whose clothes may be taken.
        wardrobe: probabilities.
        size: width of the new texture in texels.
    """
    wardrobe = wardrobe or Wardrobe()
    texture = body.texture
    colour = shrink(texture.colour, size).copy()
    normal = shrink(texture.normal, size)
    label = texture.label
    if rng.random() >= wardrobe.keep:
        if donor is not None and atlas is not None and rng.random() < wardrobe.swap:
            colour, normal, label = _swap(colour, normal, label, donor, atlas, size)
        full = _grow(label, colour.shape[:2])
        place = _places(atlas, colour.shape[:2])
        for name in ("upper", "lower", "dress", "shoes"):
            mask = full == PARSE_INDEX[name]
            if mask.sum() > 50 and rng.random() < wardrobe.recolour:
                _recolour(colour, mask, place, rng, name)
    full = _grow(label, colour.shape[:2])
    if rng.random() < wardrobe.skin:
        _shift_tone(colour, np.isin(full, [PARSE_INDEX[n] for n in _SKIN]), rng)
    wig = texture.wig
    if rng.random() < wardrobe.hair:
        tone = np.array(_HAIR_TONES[rng.integers(len(_HAIR_TONES))], np.float32)
        tone = np.clip(tone * np.exp(rng.normal(0, 0.12, 3)), 3, 250)
        if (body.material == WIG).any():
            wig = wig.copy()
            _tint(wig, np.ones(wig.shape[:2], bool), tone)
        _tint(colour, full == PARSE_INDEX["hair"], tone)
    return dataclasses.replace(
        body,
        texture=Texture(colour=np.ascontiguousarray(colour), normal=normal, wig=wig, label=label),
    )


def random_colour(rng: np.random.Generator) -> np.ndarray:
    """(3,) float32 sRGB in [0, 255]: mostly muted, sometimes loud, often near grey."""
    hue = rng.integers(0, 180)
    saturation = int(235 * rng.random() ** 1.6)
    value = int(rng.integers(22, 248))
    pixel = np.array([[[hue, saturation, value]]], np.uint8)
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB))[0, 0].astype(np.float32)


def _grow(label: np.ndarray, size_hw: tuple[int, ...]) -> np.ndarray:
    return np.asarray(cv2.resize(label, (size_hw[1], size_hw[0]), interpolation=cv2.INTER_NEAREST))


def _places(atlas: AtlasMap | None, size_hw: tuple[int, ...]) -> np.ndarray:
    """(H, W, 3) metres: where each texel lies on the body."""
    if atlas is not None:
        return np.asarray(cv2.resize(atlas.place, (size_hw[1], size_hw[0])))
    y, x = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.float32)
    unit = 1.6 / size_hw[0]
    return np.stack([x * unit, 1.6 - y * unit, 0 * x], -1)


def _swap(
    colour: np.ndarray,
    normal: np.ndarray,
    label: np.ndarray,
    donor: Texture,
    atlas: AtlasMap,
    size: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take trunk, arms and feet from a donor; the donor's bare skin takes on the own tone."""
    region = np.isin(atlas.region, (TRUNK, ARM, FOOT, ANKLE))
    new_label = np.where(region, donor.label, label).astype(np.uint8)
    mask = _grow(region.astype(np.uint8), colour.shape[:2]) > 0
    theirs = shrink(donor.colour, size)
    if theirs.shape != colour.shape:
        theirs = np.asarray(cv2.resize(theirs, (colour.shape[1], colour.shape[0])))
    theirs = theirs.copy()
    skin = [PARSE_INDEX[n] for n in _SKIN]
    own_skin = np.isin(_grow(label, colour.shape[:2]), skin)
    their_skin = np.isin(_grow(donor.label, colour.shape[:2]), skin)
    if own_skin.any() and their_skin.any():
        ratio = np.median(colour[own_skin], 0) / np.maximum(np.median(theirs[their_skin], 0), 1)
        theirs[their_skin] = np.clip(theirs[their_skin] * ratio, 0, 255).astype(np.uint8)
    theirs[..., 3] = 255
    colour = np.where(mask[..., None], theirs, colour)
    their_normal = shrink(donor.normal, size)
    if their_normal.shape == normal.shape:
        grown = _grow(region.astype(np.uint8), normal.shape[:2]) > 0
        normal = np.where(grown[..., None], their_normal, normal)
    return np.ascontiguousarray(colour), np.ascontiguousarray(normal), new_label


def _recolour(
    colour: np.ndarray, mask: np.ndarray, place: np.ndarray, rng: np.random.Generator, name: str
) -> None:
    """Paint a garment in place; the folds of the old texture stay as shading."""
    old = colour[mask][:, :3].astype(np.float32)
    light = old @ np.array([0.299, 0.587, 0.114], np.float32)
    shade = (light + 12) / (np.median(light) + 12)
    shade = np.clip(shade, 0.35, 1.7)[:, None] ** rng.uniform(0.45, 1.0)
    base = random_colour(rng)
    kind = "plain" if name == "shoes" else str(rng.choice(_PRINTS, p=_PRINT_SHARE))
    paint = np.repeat(base[None], len(old), 0)
    share = _print(kind, place[mask], rng)
    if share is not None:
        paint = paint + (random_colour(rng) - base) * share[:, None]
        if rng.random() < 0.25:
            third = _print(str(rng.choice(_PRINTS[1:])), place[mask], rng)
            if third is not None:
                paint = paint + (random_colour(rng) - paint) * third[:, None]
    fibre = 1 + rng.uniform(0.0, 0.12) * (rng.random(len(old), np.float32)[:, None] - 0.5)
    colour[mask, :3] = np.clip(paint * shade * fibre, 0, 255).astype(np.uint8)


_PRINT_SHARE = np.array([0.34, 0.12, 0.09, 0.08, 0.07, 0.08, 0.05, 0.09, 0.04, 0.04])


def _print(kind: str, place: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """(N,) float32 share of the second colour at places (N, 3) in metres; None: plain."""
    x, y, z = place.T
    seed = int(rng.integers(1 << 30))
    if kind == "hoops":
        return (np.sin(y * rng.uniform(40, 240)) > rng.uniform(-0.5, 0.7)).astype(np.float32)
    if kind == "stripes":
        return (np.sin((x + 0.4 * z) * rng.uniform(60, 260)) > rng.uniform(-0.4, 0.8)).astype(
            np.float32
        )
    if kind == "checks":
        pitch = rng.uniform(40, 140)
        return 0.5 * (np.sin(y * pitch) > 0.2) + 0.5 * (np.sin(x * pitch) > 0.2).astype(np.float32)
    if kind == "dots":
        pitch = rng.uniform(0.02, 0.06)
        u, v = x / pitch, y / pitch
        v = v + 0.5 * (np.floor(u) % 2)
        distance = np.hypot(u - np.floor(u) - 0.5, v - np.floor(v) - 0.5)
        return (distance < rng.uniform(0.15, 0.4)).astype(np.float32)
    if kind == "blobs":
        scale = rng.uniform(6, 30)
        noise = fractal_noise(x * scale, y * scale + z * scale, seed, octaves=2)
        return np.clip((noise - rng.uniform(0.4, 0.6)) * 12, 0, 1).astype(np.float32)
    if kind == "halves":
        edge = rng.uniform(1.05, 1.35)
        return (y > edge if rng.random() < 0.6 else x > 0).astype(np.float32)
    if kind == "logo":
        centre_y, radius = rng.uniform(1.15, 1.35), rng.uniform(0.04, 0.13)
        front = z > 0 if rng.random() < 0.8 else z < 0
        u, v = x / radius, (y - centre_y) / radius
        inside = np.hypot(u, v) if rng.random() < 0.5 else np.maximum(np.abs(u), np.abs(v * 1.6))
        letters = random_lattice(np.floor(u * 3), np.floor(v * 4), seed) > 0.35
        return ((inside < 1) & letters & front).astype(np.float32)
    if kind == "fade":
        low, span = rng.uniform(0.8, 1.2), rng.uniform(0.1, 0.6)
        return np.clip((y - low) / span, 0, 1).astype(np.float32)
    if kind == "weave":
        cell = rng.uniform(120, 400)
        return random_lattice(np.floor(x * cell), np.floor((y + z) * cell), seed) * rng.uniform(
            0.3, 1.0
        )
    return None


def _shift_tone(colour: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> None:
    """Change the skin's lightness and hue in place; details stay."""
    if not mask.any():
        return
    skin = np.ascontiguousarray(colour[mask][:, :3])[None]
    lab = np.asarray(cv2.cvtColor(skin, cv2.COLOR_RGB2LAB)).astype(np.float32)
    median = np.median(lab[0, :, 0])
    target = np.clip(median + rng.normal(0, 28), 45, 205)
    lab[..., 0] *= target / median
    lab[..., 1] += rng.normal(0, 3)
    lab[..., 2] += rng.normal(0, 4)
    out = cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    colour[mask, :3] = np.asarray(out)[0]


def _tint(image: np.ndarray, mask: np.ndarray, tone: np.ndarray) -> None:
    """Give hair a new tone in place, keeping its strands."""
    if not mask.any():
        return
    old = image[mask][:, :3].astype(np.float32)
    light = old.mean(1)
    shade = (light + 10) / (np.median(light) + 10)
    image[mask, :3] = np.clip(tone * np.clip(shade, 0.3, 2.5)[:, None], 0, 255).astype(np.uint8)
