"""Read the asset pack: avatars, hair, motion clips, environment maps.

The pack's layout is described in `docs/synthetic-people.md`; a folder with characters in `gltf`,
motion in `bvh` and environments in `hdri` is a pack as well. Identities and clips in `HELD_OUT`
are never trained on; everything that draws at random asks for a split.
"""

from __future__ import annotations

import functools
import json
import lzma
import os
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from motion_transfer.errors import InputError
from motion_transfer.synth.body import (
    GARMENT,
    HAIR,
    SKIN,
    WIG,
    Body,
    Texture,
    face_landmarks,
    vertex_normals,
    vertex_parts,
    weld,
)
from motion_transfer.synth.bvh import read_bvh
from motion_transfer.synth.exr import read_environment
from motion_transfer.synth.gltf import SUFFIXES, read_gltf
from motion_transfer.synth.labels import (
    DRESSES,
    AtlasMap,
    as_dress,
    label_texture,
    label_tiles,
    map_atlas,
)
from motion_transfer.synth.motion import Clip
from motion_transfer.synth.rig import PART
from motion_transfer.synth.shape import join_skirt

Split = Literal["train", "held-out"]
HELD_OUT_IDENTITIES = (
    "White_F_2", "White_M_2", "Asian_M_3", "Black_F_3", "Hispanic_M_1", "MENA_F_1",
    "MH_F_elegant", "MH_M_casual4",
)  # fmt: skip
HELD_OUT_CLIPS = (
    "49_02", "49_07", "05_06", "05_10", "05_15", "06_05", "08_01", "02_03", "07_04", "05_02",
)  # fmt: skip


def split_of_body(name: str) -> Split:
    """Whether a body's identity may be trained on."""
    held_out = any(name == i or name.startswith(i + "_") for i in HELD_OUT_IDENTITIES)
    return "held-out" if held_out else "train"


def split_of_clip(name: str) -> Split:
    """Whether a motion clip may be trained on."""
    return "held-out" if name in HELD_OUT_CLIPS else "train"


class Assets:
    """The bodies, clips and environments of an unpacked asset pack.

    Args:
        folder: where the pack was unpacked.

    Raises:
        FileNotFoundError: the folder is not an asset pack.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not (self.folder / "topo.npz").is_file() and (self.folder / "pack").is_dir():
            self.folder = self.folder / "pack"
        self._characters = {
            p.stem: p
            for p in sorted((self.folder / "gltf").glob("*"))
            if p.suffix.lower() in SUFFIXES
        }
        self._packed = (self.folder / "topo.npz").is_file()
        if not self._packed and not self._characters:
            raise FileNotFoundError(
                f"--assets: {folder} is not an asset pack (it has neither topo.npz nor "
                "gltf/*.glb); docs/synthetic-people.md says how to make one"
            )
        self.joint_names: tuple[str, ...] = ()
        entries = []
        self._wig_of: dict[str, str] = {}
        if self._packed:
            rig = json.loads((self.folder / "rig.json").read_text())
            self.joint_names = tuple(rig["names"])
            self.parents = np.array(rig["par"], np.int64)
            entries = json.loads((self.folder / "meta.json").read_text())
            self._wig_of = json.loads((self.folder / "wigs.json").read_text())
        self._avatars = [entry for entry in entries if "name" in entry]
        self._same_texture = {e["dup"]: e["of"] for e in entries if "dup" in e}
        self._index = {entry["name"]: k for k, entry in enumerate(self._avatars)}
        self._separate = {p.stem: p for p in sorted(self.folder.glob("MH_*.npz"))}
        self._own_clips = {p.stem: p for p in sorted((self.folder / "bvh").glob("*.bvh"))}
        self._maps = {
            p.stem: p
            for p in sorted((self.folder / "hdri").glob("*"))
            if p.suffix.lower() in (".exr", ".hdr")
        }
        self.environments = tuple(self._maps)
        if clash := sorted(self._characters.keys() & {*self._index, *self._separate}):
            raise InputError(
                f"--assets: the characters {', '.join(clash)} in {self.folder / 'gltf'} have names "
                "of the pack's bodies; rename the files"
            )

    def body_names(self, split: Split | None = None) -> list[str]:
        """Names of the bodies of a split (None: all), sorted."""
        names = sorted([*self._index, *self._separate, *self._characters])
        return [n for n in names if split is None or split_of_body(n) == split]

    def clip_names(self, split: Split | None = None) -> list[str]:
        """Names of the motion clips of a split (None: all), in the pack's order."""
        packed = self._motion["ids"] if self._packed else ()
        names = [str(n).removesuffix(".bvh") for n in packed] + sorted(self._own_clips)
        return [n for n in names if split is None or split_of_clip(n) == split]

    def body(self, name: str) -> Body:
        """Load one body with its texture.

        Raises:
            KeyError: the pack has no body of that name.
        """
        if name in self._separate:
            return self._load_separate(name)
        if name in self._characters:
            return read_gltf(self._characters[name])
        if name not in self._index:
            raise KeyError(f"the asset pack has no body named {name!r}")
        return self._load_avatar(name)

    def shares_atlas(self, name: str) -> bool:
        """Whether a body is one of the avatars, whose textures can be exchanged."""
        return name in self._index

    def clip(self, name: str) -> Clip:
        """Load one motion clip.

        Raises:
            KeyError: the pack has no clip of that name.
        """
        if name in self._own_clips:
            return read_bvh(self._own_clips[name])
        motion = self._motion
        names = self.clip_names()
        if name not in names:
            raise KeyError(f"the asset pack has no motion clip named {name!r}")
        k = names.index(name)
        start, stop = motion["starts"][k], motion["starts"][k + 1]
        xyz = motion["Q"][start:stop].astype(np.float32) / 32767
        w = np.sqrt(np.clip(1 - (xyz**2).sum(-1, keepdims=True), 0, None))
        return Clip(
            name=name,
            rotations=np.concatenate([xyz, w], -1),
            root=motion["P"][start:stop].astype(np.float32),
            joint_names=tuple(str(n) for n in motion["joints"]),
            child_names=tuple(str(n) for n in motion["child"]),
            rest_directions=motion["rest_direction"][k].astype(np.float32),
            leg_length=float(motion["leg_length"][k]),
        )

    def environment(self, name: str) -> np.ndarray:
        """An equirectangular environment map.

        Returns:
            (H, W, 3) float32 linear RGB; lossy compression leaves negative texels around lamps,
            they take the mean of their neighbours.
        """
        image = read_environment(self._maps[name])
        good = (image.min(-1, keepdims=True) > 0).astype(np.float32)
        total = np.asarray(cv2.blur(np.minimum(image, 4.0) * good, (9, 9)))
        share = np.asarray(cv2.blur(good, (9, 9)))[..., None]
        return np.where(good > 0, image, np.maximum(total, 0) / np.maximum(share, 1e-3))

    @functools.cached_property
    def _mean_vertices(self) -> np.ndarray:
        topology = self._topology
        span = topology["hi"] - topology["lo"]
        mean = topology["mean"].astype(np.float32) / 65535 * span + topology["lo"]
        return np.asarray(mean, np.float32)

    @functools.cached_property
    def _seams(self) -> np.ndarray:
        """Group of each vertex of the shared topology; the seams are the same for all."""
        return weld(self._mean_vertices)

    @functools.cached_property
    def atlas(self) -> AtlasMap:
        """Where each texel of the avatars' common atlas lies on the mean body."""
        topology = self._topology
        part = vertex_parts(topology["JF"], topology["WF"].astype(np.float32), self.joint_names)
        return map_atlas(
            self._mean_vertices,
            topology["U"].astype(np.float32) / 65535,
            topology["T"].astype(np.int64),
            part,
        )

    @functools.cached_property
    def _motion(self) -> dict[str, np.ndarray]:
        motion = dict(np.load(self.folder / "motion30.npz", allow_pickle=False))
        motion["starts"] = np.concatenate([[0], np.cumsum(motion["n"])])
        return motion

    @functools.cached_property
    def _topology(self) -> dict[str, np.ndarray]:
        return dict(np.load(self.folder / "topo.npz", allow_pickle=False))

    @functools.cached_property
    def _wigs(self) -> dict[str, np.ndarray]:
        return dict(np.load(self.folder / "wigs.npz", allow_pickle=False))

    @functools.cached_property
    def _deltas(self) -> np.ndarray:
        raw = lzma.decompress((self.folder / "pos.xz").read_bytes())
        return np.frombuffer(raw, np.int16).reshape(3, len(self._avatars), -1)

    def _read_image(self, name: str, kind: str) -> np.ndarray:
        """(H, W, 4) uint8 RGBA of `tex/NAME_KIND.webp`."""
        file = f"{name}_{kind}.webp"
        path = self.folder / "tex" / self._same_texture.get(file, file)
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise FileNotFoundError(f"--assets: cannot read the texture {path}")
        if image.shape[2] == 3:
            return cv2.cvtColor(image, cv2.COLOR_BGR2RGBA)
        return cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA)

    def _load_avatar(self, name: str) -> Body:
        """An avatar of the shared topology, with its wig if it has one."""
        topology, k = self._topology, self._index[name]
        gender = self._avatars[k]["gender"]
        quantised = self._deltas[:, k].T.astype(np.int32) + topology["mean"]
        span = topology["hi"] - topology["lo"]
        vertices = (quantised / 65535.0 * span + topology["lo"]).astype(np.float32)
        uv = topology["U"].astype(np.float32) / 65535
        triangles = topology["T"].astype(np.int32)
        joints = topology["J" + gender]
        weights = topology["W" + gender].astype(np.float32)
        material = topology["M"][triangles[:, 0]].astype(np.uint8)
        normals = vertex_normals(vertices, triangles, self._seams)
        weights /= weights.sum(1, keepdims=True)
        part = vertex_parts(joints, weights, self.joint_names)
        rest_joints = topology["G"][k].astype(np.float64)
        landmarks = face_landmarks(vertices, part, rest_joints, self.joint_names)
        wig_image = np.full((2, 2, 4), 255, np.uint8)
        if name in self._wig_of:
            wig = {key: self._wigs[f"{self._wig_of[name]}/{key}"] for key in "PUNJWT"}
            wig_weights = wig["W"].astype(np.float32)
            wig_weights /= wig_weights.sum(1, keepdims=True)
            triangles = np.concatenate([triangles, wig["T"].astype(np.int32) + len(vertices)])
            material = np.concatenate([material, np.full(len(wig["T"]), WIG, np.uint8)])
            vertices = np.concatenate([vertices, wig["P"].astype(np.float32)])
            normals = np.concatenate([normals, wig["N"].astype(np.float32) / 127])
            wig_uv = wig["U"].astype(np.float32)
            if wig["U"].dtype == np.uint16:
                wig_uv /= 65535
            uv = np.concatenate([uv, wig_uv])
            joints = np.concatenate([joints, wig["J"].astype(joints.dtype)])
            weights = np.concatenate([weights, wig_weights])
            part = np.concatenate([part, np.full(len(wig["P"]), PART["hair"], np.uint8)])
            wig_image = self._read_image(name, "w")
        material_of = np.zeros(len(vertices), np.uint8)
        material_of[len(topology["U"]) :] = WIG
        colour = self._read_image(name, "c")
        label = label_texture(colour, self.atlas, painted_hair=name not in self._wig_of)
        if name in DRESSES:
            label = as_dress(label)
        texture = Texture(
            colour=colour,
            normal=np.ascontiguousarray(self._read_image(name, "n")[..., :3]),
            wig=wig_image,
            label=label,
        )
        joints, weights = join_skirt(
            vertices, joints, weights, _at(label, uv) * (material_of != WIG), rest_joints,
            self.joint_names,
        )  # fmt: skip
        return Body(
            name=name, vertices=vertices, normals=normals, uv=uv, triangles=triangles,
            material=material, joints=joints, weights=weights, rest_joints=rest_joints,
            joint_names=self.joint_names, parents=self.parents, part=part, landmarks=landmarks,
            texture=texture,
        )  # fmt: skip

    def _load_separate(self, name: str) -> Body:
        """A body with garments of its own topology, one atlas with alpha."""
        data = dict(np.load(self._separate[name], allow_pickle=False))
        span = data["hi"] - data["lo"]
        vertices = (data["P"] / 65535.0 * span + data["lo"]).astype(np.float32)
        weights = data["W"].astype(np.float32)
        weights /= weights.sum(1, keepdims=True)
        triangles = data["T"].astype(np.int32)
        part = vertex_parts(data["J"], weights, self.joint_names)
        rest_joints = data["G"][:, :3, 3].astype(np.float64)
        landmarks = face_landmarks(
            vertices,
            np.where(np.isin(data["M"], (SKIN, GARMENT)), part, 0),
            rest_joints,
            self.joint_names,
        )
        part[data["M"] == HAIR] = PART["hair"]
        uv = data["U"].astype(np.float32) / 65535
        hip_y = float(rest_joints[self.joint_names.index("LeftUpLeg"), 1])
        label = label_tiles(
            vertices, uv, triangles, data["M"], waist_y=hip_y + 0.10,
            one_piece=name in ("MH_F_dress1", "MH_F_beach"),
        )  # fmt: skip
        joints, weights = join_skirt(
            vertices, data["J"], weights, _at(label, uv) * (data["M"] == GARMENT), rest_joints,
            self.joint_names, skirt=name in ("MH_F_dress1", "MH_F_beach", "MH_F_elegant"),
        )  # fmt: skip
        texture = Texture(
            colour=self._read_image(name, "c"),
            normal=np.full((2, 2, 3), (128, 128, 255), np.uint8),
            wig=np.full((2, 2, 4), 255, np.uint8),
            label=label,
        )
        return Body(
            name=name, vertices=vertices, normals=data["N"].astype(np.float32) / 127,
            uv=uv, triangles=triangles,
            material=data["M"][triangles[:, 0]].astype(np.uint8), joints=joints,
            weights=weights, rest_joints=rest_joints, joint_names=self.joint_names,
            parents=self.parents, part=part, landmarks=landmarks, texture=texture,
        )  # fmt: skip


def _at(label: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """(V,) the label under each vertex."""
    size = label.shape[0]
    texel = np.clip((uv * size).astype(int), 0, size - 1)
    return label[texel[:, 1], texel[:, 0]]
