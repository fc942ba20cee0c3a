"""Write tiny skinned glTF characters: one box on every bone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pygltflib as g

BONES = (
    ("Hips", "", (0, 1.0, 0), (0, 1.2, 0), 0.14),
    ("Spine", "Hips", (0, 1.2, 0), (0, 1.48, 0), 0.15),
    ("Head", "Spine", (0, 1.55, 0), (0, 1.78, 0), 0.09),
    *(
        bone
        for side, x in (("Left", 1), ("Right", -1))
        for bone in (
            (side + "Arm", "Spine", (0.18 * x, 1.45, 0), (0.43 * x, 1.44, 0), 0.05),
            (side + "ForeArm", side + "Arm", (0.45 * x, 1.45, 0), (0.69 * x, 1.44, 0), 0.04),
            (side + "Hand", side + "ForeArm", (0.70 * x, 1.45, 0), (0.86 * x, 1.44, 0), 0.03),
            (side + "UpLeg", "Hips", (0.10 * x, 0.95, 0), (0.10 * x, 0.52, 0), 0.08),
            (side + "Leg", side + "UpLeg", (0.10 * x, 0.50, 0), (0.10 * x, 0.12, 0), 0.06),
            (side + "Foot", side + "Leg", (0.10 * x, 0.08, 0), (0.10 * x, 0.04, 0.20), 0.04),
        )
    ),
)  # fmt: skip
VRM = {
    "Hips": "hips", "Spine": "spine", "Head": "head", "Arm": "UpperArm", "ForeArm": "LowerArm",
    "Hand": "Hand", "UpLeg": "UpperLeg", "Leg": "LowerLeg", "Foot": "Foot",
}  # fmt: skip


def vrm_name(name: str) -> str:
    for side in ("Left", "Right"):
        if name.startswith(side):
            return side.lower() + VRM[name.removeprefix(side)]
    return VRM[name]


def box(start, end, radius, tile, columns=4):
    """A closed box of six faces around a bone: (24, 3), UV (24, 2), (12, 3)."""
    start, end = np.array(start, float), np.array(end, float)
    along = (end - start) / 2
    one = np.cross(along, (0.3, 0.5, 0.8))
    one *= radius / np.linalg.norm(one)
    two = np.cross(along, one)
    two *= radius / np.linalg.norm(two)
    centre = (start + end) / 2
    vertices, uv, triangles = [], [], []
    for face, (out, u, v) in enumerate(
        f for a, b, c in ((along, one, two), (one, two, along), (two, along, one))
        for f in ((a, b, c), (-a, c, b))
    ):  # fmt: skip
        for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            vertices.append(centre + out + i * u + j * v)
            place = ((i + 1) / 2 * 0.9 + face % 3, (j + 1) / 2 * 0.9 + face // 3)
            uv.append([(tile % columns + place[0] / 3) / columns,
                       (tile // columns + place[1] / 3) / columns])  # fmt: skip
        triangles += [
            [4 * face, 4 * face + 1, 4 * face + 2],
            [4 * face, 4 * face + 2, 4 * face + 3],
        ]
    return np.array(vertices), np.array(uv), np.array(triangles)


def write_character(
    path: Path, *, style="mixamo", without=(), back=False, arm_degrees=0.0, leave_scale=1.0
) -> Path:
    """Write a GLB as Blender does: armature in centimetres with z up, joints below it.

    Args:
        path: where.
        style: how joints are called: "mixamo" or "vrm" (named by the extension).
        without: joints whose names are spoiled.
        back: the person faces -z.
        arm_degrees: how far the arms hang in rest pose.
        leave_scale: size of the person.
    """
    c, s = np.cos(np.radians(arm_degrees)), np.sin(np.radians(arm_degrees))

    def place(point, name):
        x, y, z = point
        for side, sign in (("Left", 1), ("Right", -1)):
            if name.startswith(side) and name.endswith(("Arm", "Hand")):
                dx, dy = x - 0.18 * sign, y - 1.45
                x, y = 0.18 * sign + c * dx + sign * s * dy, 1.45 - sign * s * dx + c * dy
        turned = np.array([-x, y, -z]) if back else np.array([x, y, z])
        return turned * leave_scale

    root = np.array([[0.01, 0, 0, 0], [0, 0, 0.01, 0], [0, -0.01, 0, 0], [0, 0, 0, 1.0]])
    names = [bone[0] for bone in BONES]
    world = {}
    for name, _, start, _, _ in BONES:
        world[name] = root.copy()
        world[name][:3, 3] = place(start, name)
    vertices, uv, triangles, joints = [], [], [], []
    for k, (name, _, start, end, radius) in enumerate(BONES):
        v, t, f = box(place(start, name), place(end, name), radius * leave_scale, k)
        triangles.append(f + sum(len(x) for x in vertices))
        vertices.append(v)
        uv.append(t)
        joints += [[k, 0, 0, 0]] * len(v)
    weights = np.zeros((len(joints), 4), np.float32)
    weights[:, 0] = 1
    y, x = np.mgrid[:256, :256]
    waves = [np.sin(x / 17 + k) * np.cos(y / 23 - k) for k in range(3)]
    image = np.stack([128 + 90 * w for w in waves], -1).astype(np.uint8)
    binds = np.stack([np.linalg.inv(world[name]).T for name in names])
    blobs = [
        (np.concatenate(vertices).astype("<f4"), g.FLOAT, g.VEC3),
        (np.concatenate(uv).astype("<f4"), g.FLOAT, g.VEC2),
        (np.concatenate(triangles).astype("<u2").reshape(-1, 1), g.UNSIGNED_SHORT, g.SCALAR),
        (np.array(joints, "u1"), g.UNSIGNED_BYTE, g.VEC4), (weights, g.FLOAT, g.VEC4),
        (binds.reshape(-1, 16).astype("<f4"), g.FLOAT, g.MAT4),
    ]  # fmt: skip
    document, data = g.GLTF2(), b""
    for array, kind, shape in blobs:
        document.bufferViews.append(
            g.BufferView(buffer=0, byteOffset=len(data), byteLength=array.nbytes)
        )
        document.accessors.append(
            g.Accessor(
                bufferView=len(document.bufferViews) - 1, componentType=kind, type=shape,
                count=len(array),
            )
        )  # fmt: skip
        data += array.tobytes() + b"\0" * (-array.nbytes % 4)
    png = cv2.imencode(".png", image)[1].tobytes()
    document.bufferViews.append(g.BufferView(buffer=0, byteOffset=len(data), byteLength=len(png)))
    document.images.append(g.Image(bufferView=len(blobs), mimeType="image/png"))
    data += png + b"\0" * (-len(png) % 4)
    document.textures.append(g.Texture(source=0))
    document.materials.append(
        g.Material(
            name="Cloth", pbrMetallicRoughness=g.PbrMetallicRoughness(
                baseColorTexture=g.TextureInfo(index=0)
            ),
        )
    )  # fmt: skip
    attributes = g.Attributes(POSITION=0, TEXCOORD_0=1, JOINTS_0=3, WEIGHTS_0=4)
    document.meshes.append(
        g.Mesh(name="Boxes", primitives=[g.Primitive(attributes=attributes, indices=2, material=0)])
    )
    document.nodes.append(g.Node(name="Armature", matrix=root.T.ravel().tolist(), children=[1]))
    for name, parent, *_ in BONES:
        above = world[parent] if parent else root
        local = (np.linalg.inv(above) @ world[name])[:3, 3]
        label = {"mixamo": "mixamorig:" + name, "vrm": f"bone{names.index(name)}"}[style]
        document.nodes.append(
            g.Node(
                name="x" if name in without else label, translation=local.tolist(),
                children=[1 + names.index(b[0]) for b in BONES if b[1] == name],
            )
        )  # fmt: skip
    document.nodes.append(g.Node(mesh=0, skin=0))
    document.skins.append(
        g.Skin(joints=list(range(1, len(names) + 1)), inverseBindMatrices=len(blobs) - 1)
    )
    document.scenes.append(g.Scene(nodes=[0, len(document.nodes) - 1]))
    if style == "vrm":
        bones = {vrm_name(n): {"node": 1 + k} for k, n in enumerate(names) if n not in without}
        document.extensions = {"VRMC_vrm": {"humanoid": {"humanBones": bones}}}
        document.extensionsUsed = ["VRMC_vrm"]
    document.buffers.append(g.Buffer(byteLength=len(data)))
    document.set_binary_blob(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    document.save_binary(str(path))
    return path
