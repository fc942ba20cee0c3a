"""Read skinned glTF characters (.glb, .gltf, .vrm) as bodies.

Any humanoid whose joints can be named onto the rig will do: names in the manner of Mixamo, VRM,
Unreal or Blender are understood (`rig_name`). Joints that the rig does not know (twist bones,
skirts, hair) pass their weights on to the nearest ancestor that it knows; joints of the rig that
the character lacks (fingers, eyes, toes) are placed by proportion.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
import struct
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from motion_transfer.errors import InputError
from motion_transfer.synth.body import (
    EYES,
    GARMENT,
    HAIR,
    SKIN,
    Body,
    Texture,
    face_landmarks,
    vertex_normals,
    vertex_parts,
)
from motion_transfer.synth.labels import LABEL_SIZE
from motion_transfer.synth.motion import stance_pose, turn_onto
from motion_transfer.synth.render import pose_body
from motion_transfer.synth.rig import PARSE_INDEX, PART
from motion_transfer.synth.shape import join_skirt

SUFFIXES = (".glb", ".gltf", ".vrm")
_FINGERS = ("Thumb", "Index", "Middle", "Ring", "Pinky")
_SIDED = {
    "Shoulder": "Spine2", "Arm": "Shoulder", "ForeArm": "Arm", "Hand": "ForeArm",
    **{f"Hand{f}{k}": f"Hand{f}{k - 1}" if k > 1 else "Hand" for f in _FINGERS for k in (1, 2, 3)},
    "UpLeg": "Hips", "Leg": "UpLeg", "Foot": "Leg", "ToeBase": "Foot", "Eye": "Head",
}  # fmt: skip
PARENT = {
    "Hips": "", "Spine": "Hips", "Spine1": "Spine", "Spine2": "Spine1", "Neck": "Spine2",
    "Head": "Neck",
    **{
        side + joint: parent if parent in ("Spine2", "Hips", "Head") else side + parent
        for side in ("Left", "Right")
        for joint, parent in _SIDED.items()
    },
}  # fmt: skip
"""The joints of every body read here, and their parents."""
REQUIRED = (
    "Hips", "Head",
    *(s + j for s in ("Left", "Right")
      for j in ("Arm", "ForeArm", "Hand", "UpLeg", "Leg", "Foot")),
)  # fmt: skip
STEMS = {
    "hips": "Hips", "hip": "Hips", "pelvis": "Hips", "spine": "Spine", "spine01": "Spine",
    "spine1": "Spine1", "spine02": "Spine1", "chest": "Spine1", "spine2": "Spine2",
    "spine03": "Spine2", "upperchest": "Spine2", "neck": "Neck", "neck01": "Neck", "head": "Head",
}  # fmt: skip
"""Names of the joints in the middle, lower case and without prefix, and the rig's names."""
SIDED_STEMS = {
    "shoulder": "Shoulder", "clavicle": "Shoulder", "collar": "Shoulder", "arm": "Arm",
    "upperarm": "Arm", "forearm": "ForeArm", "lowerarm": "ForeArm", "hand": "Hand",
    "wrist": "Hand", "upleg": "UpLeg", "upperleg": "UpLeg", "thigh": "UpLeg", "leg": "Leg",
    "lowerleg": "Leg", "shin": "Leg", "calf": "Leg", "foot": "Foot", "ankle": "Foot",
    "toe": "ToeBase", "toes": "ToeBase", "ball": "ToeBase", "eye": "Eye",
    **{
        stem: f"Hand{rig}{k}"
        for rig in _FINGERS
        for own in (rig.lower(), *(("little",) if rig == "Pinky" else ()))
        for k in (1, 2, 3)
        for stem in (f"hand{own}{k}", f"{own}{k}", f"{own}0{k}")
    },
    **{
        ("little" if rig == "Pinky" else rig.lower()) + segment: f"Hand{rig}{k}"
        for rig in _FINGERS[1:]
        for k, segment in enumerate(("proximal", "intermediate", "distal"), 1)
    },
    "thumbmetacarpal": "HandThumb1", "thumbproximal": "HandThumb2",
    "thumbintermediate": "HandThumb2", "thumbdistal": "HandThumb3",
}  # fmt: skip
"""The same for joints that exist on both sides."""
_NOISE = {"mixamorig", "j", "bip", "bip01", "bip001", "c", "b", "cc", "base", "def", "jnt"}
_GARMENTS = (
    ("shoes", ("shoe", "boot", "sneaker", "sandal", "footwear")),
    ("dress", ("dress", "gown", "onepiece", "robe")),
    ("lower", ("trouser", "pant", "jean", "short", "skirt", "bottom", "legging", "lower")),
    ("upper", ("shirt", "top", "jacket", "coat", "hoodie", "sweater", "vest", "upper", "blouse")),
)  # fmt: skip
_HARMLESS = ("VRM", "KHR_materials_", "KHR_mesh_quantization", "KHR_texture_transform")
_TRIANGLES = 4
_TYPES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_DTYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}


def rig_name(name: str) -> str | None:
    """The rig's name of a joint such as ``mixamorig:LeftUpLeg`` or ``upperarm_l``, or None."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name.rpartition(":")[2])
    words = [w.lower() for w in words]
    side = next((s for s in ("Left", "Right") for w in words if w in (s.lower(), s[0].lower())), "")
    stem = "".join(w for w in words if w not in _NOISE and w not in ("left", "right", "l", "r"))
    stem = stem.lstrip("0123456789").removeprefix("mixamorig")
    for start in ("left", "right"):
        if not side and stem.startswith(start):
            side, stem = start.capitalize(), stem.removeprefix(start)
    if side:
        return side + SIDED_STEMS[stem] if stem in SIDED_STEMS else None
    return STEMS.get(stem)


class _Piece(NamedTuple):
    """One primitive at rest: (V, 3) metres, (V, 2), (F, 3), (V, J) weights on the rig."""

    vertices: np.ndarray
    uv: np.ndarray
    triangles: np.ndarray
    weights: np.ndarray
    material: int | None
    name: str


def read_gltf(path: str | os.PathLike[str]) -> Body:
    """Read a skinned character.

    Args:
        path: a glTF 2.0 file with one person; y up, in metres (centimetres are recognised).

    Returns:
        The body in a T-pose, facing +z, feet at y = 0, all its base colours in one texture.

    Raises:
        InputError: the file is broken, uses an extension that is not read, or joints that the
            rig needs cannot be found; the message names them.
        ModuleNotFoundError: `pygltflib` is not installed.
    """
    path = Path(path)
    document = _Document(path)
    rig_of_node = document.rig_of_node()
    names = tuple(PARENT)
    nodes: dict[str, int] = {}
    for node in document.order:  # parents first: the joint nearest to the root takes the name
        if rig_of_node.get(node):
            nodes.setdefault(rig_of_node[node], node)
    if missing := [name for name in REQUIRED if name not in nodes]:
        raise InputError(
            f"{path}: no joints found for {', '.join(missing)}; rename the joints like those of "
            f"Mixamo (LeftArm) or VRM (leftUpperArm), got {', '.join(document.joint_labels()[:8])}"
        )
    pieces = document.pieces({node: names.index(joint) for joint, node in nodes.items()})
    vertices = np.concatenate([piece.vertices for piece in pieces])
    joints = {name: document.world[node][:3, 3] for name, node in nodes.items()}
    vertices, joints = _upright(vertices, joints, path)
    weights = np.concatenate([piece.weights for piece in pieces])
    rest = _complete(joints, vertices, weights[:, names.index("Head")] > 0.5)
    best = np.argsort(-weights, 1, kind="stable")[:, :4]
    four = np.take_along_axis(weights, best, 1)
    four = (four / four.sum(1, keepdims=True)).astype(np.float32)
    part = vertex_parts(best, four, names)
    for needed in ("head", "left_foot", "right_foot"):
        if not (part == PART[needed]).any():
            raise InputError(f"{path}: no vertices follow the {needed.replace('_', ' ')}")
    colour, uv = _atlas(document, pieces)
    starts = np.cumsum([0, *(len(piece.vertices) for piece in pieces)])
    triangles = np.concatenate(
        [p.triangles + s for p, s in zip(pieces, starts, strict=False)]
    ).astype(np.int32)
    kinds = [document.kind(piece) for piece in pieces]
    material = np.repeat([k for k, _ in kinds], [len(p.triangles) for p in pieces])
    of_vertex = np.repeat([k for k, _ in kinds], np.diff(starts))
    garment = np.repeat([g for _, g in kinds], np.diff(starts)).astype(np.uint8)
    plain = (garment == 0) & (of_vertex == GARMENT)
    garment[plain] = _WORN[part[plain]]
    landmarks = face_landmarks(
        vertices, np.where(np.isin(of_vertex, (SKIN, GARMENT)), part, 0), rest, names
    )
    label = np.zeros((LABEL_SIZE, LABEL_SIZE), np.uint8)
    for t in triangles[np.isin(material, (SKIN, GARMENT))]:
        points = np.round(uv[t] * LABEL_SIZE - 0.5).astype(np.int32)
        cv2.fillConvexPoly(label, points, int(garment[t].max()))
    part[of_vertex == HAIR] = PART["hair"]
    best = best.astype(np.uint8)
    best, four = join_skirt(
        vertices, best, four, garment, rest, names,
        skirt=any("skirt" in piece.name for piece in pieces),
    )  # fmt: skip
    body = Body(
        name=path.stem, vertices=vertices, normals=vertex_normals(vertices, triangles), uv=uv,
        triangles=triangles, material=material.astype(np.uint8), joints=best, weights=four,
        rest_joints=rest, joint_names=names,
        parents=np.array([names.index(p) if p else -1 for p in PARENT.values()], np.int64),
        part=part, landmarks=landmarks,
        texture=Texture(
            colour=colour, normal=np.full((2, 2, 3), (128, 128, 255), np.uint8),
            wig=np.full((2, 2, 4), 255, np.uint8), label=label,
        ),
    )  # fmt: skip
    return _t_pose(body)


_WORN = np.zeros(len(PART), np.uint8)
for _garment, _parts in (
    ("upper", ("torso", "left_upper_arm", "right_upper_arm")),
    ("lower", ("left_upper_leg", "right_upper_leg", "left_lower_leg", "right_lower_leg")),
    ("shoes", ("left_foot", "right_foot")),
):
    for _part in _parts:
        _WORN[PART[_part]] = PARSE_INDEX[_garment]


class _Document:
    """A glTF file: its numbers, images and node transforms."""

    def __init__(self, path: Path) -> None:
        try:
            import pygltflib
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "reading glTF characters needs pygltflib: "
                "pip install 'motion-transfer[synth-assets]'"
            ) from error
        if not path.is_file():
            raise FileNotFoundError(f"no such character: {path}")
        self.path = path
        try:
            start = path.read_bytes()[:8]
            if start[:4] == b"glTF":
                if start[4:] != b"\2\0\0\0":
                    raise ValueError("its version is not 2")
                self.gltf = pygltflib.GLTF2.load_binary(str(path))
            else:
                self.gltf = pygltflib.GLTF2.load_json(str(path))
        except (ValueError, KeyError, TypeError, AttributeError, OSError, struct.error) as error:
            raise InputError(f"{path} is not a glTF 2.0 file: {error}") from error
        if self.gltf is None:
            raise InputError(f"{path} is not a glTF 2.0 file")
        for extension in self.gltf.extensionsRequired or []:
            if not extension.startswith(_HARMLESS):
                raise InputError(
                    f"{path} needs the extension {extension}, which is not read; export it again "
                    "without compression"
                )
        self._blobs: dict[int, bytes] = {}
        self.parent = {
            child: number
            for number, node in enumerate(self.gltf.nodes)
            for child in node.children or []
        }
        self.world: dict[int, np.ndarray] = {}
        self.order: list[int] = []
        waiting = [n for n in range(len(self.gltf.nodes)) if n not in self.parent]
        while waiting:
            number = waiting.pop(0)
            node = self.gltf.nodes[number]
            above = self.world[self.parent[number]] if number in self.parent else np.eye(4)
            self.world[number] = above @ _local_matrix(node)
            self.order.append(number)
            waiting += node.children or []

    def rig_of_node(self) -> dict[int, str | None]:
        """The rig's name of every node that can be a joint."""
        extensions = self.gltf.extensions or {}
        for key in ("VRMC_vrm", "VRM"):
            bones = (extensions.get(key) or {}).get("humanoid", {}).get("humanBones", [])
            pairs = (
                [(name, bone["node"]) for name, bone in bones.items()]
                if isinstance(bones, dict)
                else [(bone["bone"], bone["node"]) for bone in bones]
            )
            if pairs:
                return {node: rig_name(name) for name, node in pairs}
        joints = {j for skin in self.gltf.skins for j in skin.joints}
        return {j: rig_name(self.gltf.nodes[j].name or "") for j in joints}

    def joint_labels(self) -> list[str]:
        """Names of the skins' joints as they are in the file."""
        found = [self.gltf.nodes[j].name or "?" for skin in self.gltf.skins for j in skin.joints]
        return found or ["no skin at all"]

    def pieces(self, joint_of_node: dict[int, int]) -> list[_Piece]:
        """All triangles of the file, at rest in the world, with weights on the rig."""

        def owner(node: int) -> int:
            while node not in joint_of_node and node in self.parent:
                node = self.parent[node]
            return joint_of_node.get(node, 0)

        found = []
        for number in self.order:
            node = self.gltf.nodes[number]
            if node.mesh is None:
                continue
            mesh = self.gltf.meshes[node.mesh]
            for primitive in mesh.primitives:
                if primitive.mode not in (None, _TRIANGLES):
                    raise InputError(f"{self.path}: mesh {mesh.name!r} must consist of triangles")
                places = self.accessor(primitive.attributes.POSITION).astype(np.float64)
                weights = np.zeros((len(places), len(PARENT)))
                if node.skin is None:
                    weights[:, owner(number)] = 1
                    matrices = np.tile(self.world[number], (len(places), 1, 1))
                else:
                    matrices = self._skin(primitive, self.gltf.skins[node.skin], owner, weights)
                places = (matrices[:, :3, :3] @ places[..., None])[..., 0] + matrices[:, :3, 3]
                uv = np.zeros((len(places), 2))
                if primitive.attributes.TEXCOORD_0 is not None:
                    uv = self.accessor(primitive.attributes.TEXCOORD_0).astype(np.float64)
                corners = np.arange(len(places))
                if primitive.indices is not None:
                    corners = self.accessor(primitive.indices)[:, 0]
                material = primitive.material
                name = self.gltf.materials[material].name if material is not None else ""
                found.append(
                    _Piece(places, uv, corners.reshape(-1, 3).astype(np.int64), weights, material,
                           f"{mesh.name or ''} {name or ''}".lower())
                )  # fmt: skip
        if not found:
            raise InputError(f"{self.path} has no mesh")
        return found

    def _skin(self, primitive: Any, skin: Any, owner: Any, weights: np.ndarray) -> np.ndarray:
        """(V, 4, 4) rest transform of each vertex; adds to the weights on the rig."""
        bind = np.tile(np.eye(4), (len(skin.joints), 1, 1))
        if skin.inverseBindMatrices is not None:
            bind = self.accessor(skin.inverseBindMatrices).reshape(-1, 4, 4).swapaxes(1, 2)
        turns = np.stack([self.world[j] @ b for j, b in zip(skin.joints, bind, strict=True)])
        owners = np.array([owner(j) for j in skin.joints])
        matrices = np.zeros((len(weights), 4, 4))
        rows = np.arange(len(weights))
        for number in range(2):
            joints = getattr(primitive.attributes, f"JOINTS_{number}", None)
            shares = getattr(primitive.attributes, f"WEIGHTS_{number}", None)
            if joints is None or shares is None:
                continue
            index, share = self.accessor(joints).astype(np.int64), self.accessor(shares)
            for k in range(4):
                np.add.at(weights, (rows, owners[index[:, k]]), share[:, k])
                matrices += share[:, k, None, None] * turns[index[:, k]]
        total = weights.sum(1)
        if (total < 1e-3).any():
            raise InputError(f"{self.path}: {int((total < 1e-3).sum())} vertices have no weights")
        return matrices / total[:, None, None]

    def accessor(self, number: int) -> np.ndarray:
        """(N, C) values; normalised integers become floats."""
        accessor = self.gltf.accessors[number]
        if accessor.sparse is not None or accessor.bufferView is None:
            raise InputError(f"{self.path}: sparse accessors are not read; export it again")
        dtype, width = np.dtype(_DTYPES[accessor.componentType]), _TYPES[accessor.type]
        view = self.gltf.bufferViews[accessor.bufferView]
        data = self._blob(view.buffer)
        start = (view.byteOffset or 0) + (accessor.byteOffset or 0)
        stride = view.byteStride or dtype.itemsize * width
        end = start + stride * (accessor.count - 1) + dtype.itemsize * width
        if accessor.count < 1 or end > len(data):
            raise InputError(f"{self.path} is cut off: it has {len(data)} bytes, needs {end}")
        values = np.ndarray(
            (accessor.count, width), dtype, data, start, (stride, dtype.itemsize)
        )  # fmt: skip
        if accessor.normalized and dtype.kind in "iu":
            return np.maximum(values / np.iinfo(dtype).max, -1)
        return values.copy()

    def _blob(self, number: int) -> bytes:
        if number not in self._blobs:
            data = self.gltf.get_data_from_buffer_uri(self.gltf.buffers[number].uri)
            if data is None:
                raise InputError(f"{self.path}: the file of buffer {number} is missing")
            self._blobs[number] = bytes(data)
        return self._blobs[number]

    def base_colour(self, material: int | None) -> np.ndarray:
        """(H, W, 4) uint8 sRGB of a material; one colour becomes 4 x 4 texels."""
        white = np.full((4, 4, 4), 255, np.uint8)
        if material is None:
            return white
        entry = self.gltf.materials[material]
        surface = entry.pbrMetallicRoughness
        if surface is None:
            return white
        image = white
        if surface.baseColorTexture is not None:
            image = self._image(self.gltf.textures[surface.baseColorTexture.index])
        factor = np.clip(np.array(surface.baseColorFactor or (1, 1, 1, 1), float), 0, 1)
        factor[:3] **= 1 / 2.2
        image = (image * factor + 0.5).astype(np.uint8)
        if entry.alphaMode in (None, "OPAQUE"):
            image[..., 3] = 255
        return image

    def _image(self, texture: Any) -> np.ndarray:
        source = texture.source
        if source is None:
            source = (texture.extensions or {}).get("EXT_texture_webp", {}).get("source")
        if source is None:
            raise InputError(f"{self.path}: a texture has no PNG, JPEG or WebP image")
        entry = self.gltf.images[source]
        if entry.bufferView is not None:
            view = self.gltf.bufferViews[entry.bufferView]
            start = view.byteOffset or 0
            data = self._blob(view.buffer)[start : start + view.byteLength]
        else:
            data = bytes(self.gltf.get_data_from_buffer_uri(entry.uri) or b"")
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
        if image is None:
            raise InputError(f"{self.path}: image {entry.name or source} cannot be read")
        if image.dtype == np.uint16:
            image = (image // 256).astype(np.uint8)
        if image.ndim == 2 or image.shape[2] == 1:
            return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGBA))
        code = cv2.COLOR_BGR2RGBA if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
        return np.asarray(cv2.cvtColor(image, code))

    def kind(self, piece: _Piece) -> tuple[int, int]:
        """Material and garment of a primitive, by the names of its mesh and material.

        Garment 0 leaves the choice to the body part; a primitive whose name tells nothing is
        taken for a clothed person: shirt, trousers and shoes, bare head and forearms.
        """
        if "eye" in piece.name and "brow" not in piece.name and "lash" not in piece.name:
            return EYES, 0
        if any(word in piece.name for word in ("hair", "brow", "lash", "beard")):
            return HAIR, PARSE_INDEX["hair"]
        for garment, words in _GARMENTS:
            if any(word in piece.name for word in words):
                return GARMENT, PARSE_INDEX[garment]
        if any(word in piece.name for word in ("skin", "face", "head", "hand")):
            return SKIN, 0
        return GARMENT, 0


def _local_matrix(node: Any) -> np.ndarray:
    if node.matrix:
        return np.array(node.matrix, float).reshape(4, 4).T
    x, y, z, w = node.rotation or (0.0, 0.0, 0.0, 1.0)
    out = np.eye(4)
    out[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    out[:3, :3] *= np.array(node.scale or (1.0, 1.0, 1.0))
    out[:3, 3] = node.translation or (0.0, 0.0, 0.0)
    return out


def _upright(
    vertices: np.ndarray, joints: dict[str, np.ndarray], path: Path
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Metres, left side at +x (so that the face looks along +z), lowest point at y = 0."""
    height = float(np.ptp(vertices[:, 1]))
    unit = 0.01 if height > 50 else 1.0
    if not 0.5 <= height * unit <= 2.8:
        raise InputError(
            f"{path}: the height must be 0.5 to 2.8 m with y up, got {height:.3g}; scale it"
        )
    left = joints["LeftUpLeg"] - joints["RightUpLeg"]
    yaw = np.arctan2(left[2], left[0])
    c, s = np.cos(yaw), np.sin(yaw)
    turn = unit * np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    hips = joints["Hips"]
    base = np.array([hips[0], vertices[:, 1].min(), hips[2]])
    moved = {name: turn @ (place - base) for name, place in joints.items()}
    return ((vertices - base) @ turn.T).astype(np.float32), moved


def _complete(joints: dict[str, np.ndarray], vertices: np.ndarray, head: np.ndarray) -> np.ndarray:
    """(J, 3) all joints of the rig; those that the character lacks by proportion."""
    at = dict(joints)
    height = float(np.ptp(vertices[:, 1]))
    shoulders = (at["LeftArm"] + at["RightArm"]) / 2
    at.setdefault("Neck", 0.5 * shoulders + 0.5 * at["Head"])
    for k, name in enumerate(("Spine", "Spine1", "Spine2"), 1):
        below = at["Hips" if k == 1 else f"Spine{k - 2 or ''}"]
        at.setdefault(name, below + (at["Neck"] - below) / (5 - k))
    if head.any():
        crown = vertices[head, 1].max()
        eye_y = crown - 0.5 * min(0.13 * height, crown - at["Head"][1])
        level = head & (np.abs(vertices[:, 1] - eye_y) < 0.03 * height)
        front = vertices[level if level.any() else head, 2].max() - 0.01 * height
        for side, sign in (("Left", 1), ("Right", -1)):
            at.setdefault(
                side + "Eye", np.array([at["Head"][0] + sign * 0.018 * height, eye_y, front])
            )
    for side, sign in (("Left", 1), ("Right", -1)):
        at.setdefault(side + "Eye", at["Head"] + np.array([sign * 0.018 * height, 0, 0]))
        at.setdefault(side + "Shoulder", 0.3 * at[side + "Arm"] + 0.7 * at["Neck"])
        foot = at[side + "Foot"]
        at.setdefault(side + "ToeBase", foot + np.array([0, -0.7 * foot[1], 0.075 * height]))
        along = at[side + "Hand"] - at[side + "ForeArm"]
        along /= np.linalg.norm(along)
        for finger, reach, aside in (
            ("Thumb", 0.015, 0.020), ("Index", 0.053, 0.014), ("Middle", 0.055, 0.0),
            ("Ring", 0.053, -0.010), ("Pinky", 0.049, -0.020),
        ):  # fmt: skip
            for k in (1, 2, 3):
                place = (reach + 0.016 * (k - 1)) * along + np.array([0, 0, aside])
                at.setdefault(f"{side}Hand{finger}{k}", at[side + "Hand"] + height * place)
    return np.array([at[name] for name in PARENT])


def _atlas(document: _Document, pieces: list[_Piece]) -> tuple[np.ndarray, np.ndarray]:
    """One texture with a tile per material, and the UV (V, 2) in it."""
    materials = list(dict.fromkeys(piece.material for piece in pieces))
    grid = int(np.ceil(np.sqrt(len(materials))))
    images = [document.base_colour(material) for material in materials]
    tile = min(1024 if grid == 1 else 2048 // grid, max(max(image.shape) for image in images))
    atlas = np.zeros((tile * grid, tile * grid, 4), np.uint8)
    for k, image in enumerate(images):
        y, x = tile * (k // grid), tile * (k % grid)
        how = cv2.INTER_AREA if image.shape[1] > tile else cv2.INTER_LINEAR
        atlas[y : y + tile, x : x + tile] = cv2.resize(image, (tile, tile), interpolation=how)
    uv = []
    for piece in pieces:
        k = materials.index(piece.material)
        own = piece.uv - np.floor(piece.uv.min(0) + 1e-4)
        own = np.where((own < -1e-3) | (own > 1 + 1e-3), own % 1.0, np.clip(own, 0, 1))
        inset = (0.5 + own * (tile - 1)) / tile
        uv.append((inset + np.array([k % grid, k // grid])) / grid)
    return atlas, np.concatenate(uv).astype(np.float32)


def _t_pose(body: Body) -> Body:
    """The body with its arms stretched sideways, as the engine's shapes and clothes expect."""
    rest, turns = body.rest_joints, {}
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        chain = ("Arm", "ForeArm", "Hand")
        for joint, child in itertools.pairwise(chain):
            bone = rest[body.joint(side + child)] - rest[body.joint(side + joint)]
            turns[side + joint] = turn_onto(bone, np.array([sign, 0.0, 0.0]))
    pose = stance_pose(body, turns)
    packed = pose_body(body, pose)
    return dataclasses.replace(
        body, vertices=np.ascontiguousarray(packed[:, :3]),
        normals=np.ascontiguousarray(packed[:, 3:6]), rest_joints=pose.positions,
    )  # fmt: skip
