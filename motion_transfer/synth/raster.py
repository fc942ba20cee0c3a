"""The numba kernels: skinning, projection, z-buffer, shading, look-ups.

Posed vertices are float32 (V, 8): position, normal, UV. Screen space is float32 (V, 4): x, y in
samples, `near` (a number that is linear in screen space and grows towards the eye: 1 / depth
for a camera, minus depth plus a constant for a light), and padding.

A picture of H x W pixels with `factor` samples per pixel side is drawn on a grid of
factor (H - 1) + 1 + 2 m rows, m = factor // 2: sample factor y + m lies exactly on the centre of
pixel row y, so that one raster serves the picture and its ground truth. A raster holds for each
sample the triangle seen there (-1: none); everything else is looked up from it.
"""

from __future__ import annotations

import math

import numba
import numpy as np

_FAST = {"nnan", "ninf", "nsz", "arcp", "contract", "afn", "reassoc"}
NEAR_LIMIT_M = 0.05
"""Triangles with a corner nearer to the camera than this are not drawn."""


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def skin(vertices, normals, uv, joints, weights, turns, offsets, out):
    """Linear blend skinning, v' = sum of w (turn v + offset), to packed vertices `out` (V, 8)."""
    for v in range(vertices.shape[0]):
        p0, p1, p2 = vertices[v, 0], vertices[v, 1], vertices[v, 2]
        n0, n1, n2 = normals[v, 0], normals[v, 1], normals[v, 2]
        w = weights[v, 0]
        q = joints[v, 0]
        a00, a01, a02 = w * turns[q, 0, 0], w * turns[q, 0, 1], w * turns[q, 0, 2]
        a10, a11, a12 = w * turns[q, 1, 0], w * turns[q, 1, 1], w * turns[q, 1, 2]
        a20, a21, a22 = w * turns[q, 2, 0], w * turns[q, 2, 1], w * turns[q, 2, 2]
        x, y, z = w * offsets[q, 0], w * offsets[q, 1], w * offsets[q, 2]
        for k in range(1, 4):
            w = weights[v, k]
            if w > np.float32(0.0):
                q = joints[v, k]
                a00 += w * turns[q, 0, 0]
                a01 += w * turns[q, 0, 1]
                a02 += w * turns[q, 0, 2]
                a10 += w * turns[q, 1, 0]
                a11 += w * turns[q, 1, 1]
                a12 += w * turns[q, 1, 2]
                a20 += w * turns[q, 2, 0]
                a21 += w * turns[q, 2, 1]
                a22 += w * turns[q, 2, 2]
                x += w * offsets[q, 0]
                y += w * offsets[q, 1]
                z += w * offsets[q, 2]
        out[v, 0] = a00 * p0 + a01 * p1 + a02 * p2 + x
        out[v, 1] = a10 * p0 + a11 * p1 + a12 * p2 + y
        out[v, 2] = a20 * p0 + a21 * p1 + a22 * p2 + z
        q0 = a00 * n0 + a01 * n1 + a02 * n2
        q1 = a10 * n0 + a11 * n1 + a12 * n2
        q2 = a20 * n0 + a21 * n1 + a22 * n2
        scale = np.float32(1.0) / math.sqrt(q0 * q0 + q1 * q1 + q2 * q2 + np.float32(1e-20))
        out[v, 3] = q0 * scale
        out[v, 4] = q1 * scale
        out[v, 5] = q2 * scale
        out[v, 6] = uv[v, 0]
        out[v, 7] = uv[v, 1]


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def project(packed, eye, turn, focal, centre_x, centre_y, screen):
    """Perspective projection to screen space; `near` is 1 / depth, 0 behind the eye."""
    for v in range(packed.shape[0]):
        x = packed[v, 0] - eye[0]
        y = packed[v, 1] - eye[1]
        z = packed[v, 2] - eye[2]
        depth = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z
        near = np.float32(0.0)
        scale = np.float32(0.0)
        if depth > np.float32(NEAR_LIMIT_M):
            near = np.float32(1.0) / depth
            scale = near * focal
        screen[v, 0] = (turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z) * scale + centre_x
        screen[v, 1] = (turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z) * scale + centre_y
        screen[v, 2] = near
        screen[v, 3] = 0


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def project_light(packed, frame, screen):
    """Orthographic projection by `frame` (3, 4): screen x, screen y, nearness."""
    for v in range(packed.shape[0]):
        x, y, z = packed[v, 0], packed[v, 1], packed[v, 2]
        for k in range(3):
            screen[v, k] = frame[k, 0] * x + frame[k, 1] * y + frame[k, 2] * z + frame[k, 3]
        screen[v, 3] = 0


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy", inline="always")
def _alpha(image, u, v):
    """The alpha of the texel at a UV."""
    row = min(max(int(v * image.shape[0]), 0), image.shape[0] - 1)
    column = min(max(int(u * image.shape[1]), 0), image.shape[1] - 1)
    return image[row, column, 3]


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def rasterise(screen, triangles, material, uv, colour, wig, cut_low, cut_step, zbuffer, ids):
    """Fill `zbuffer` (nearness, 0 = empty) and `ids` (triangle, -1 = empty); both are cleared.

    Skin and eyes are closed surfaces: their back faces are skipped. Hair is cut out by its
    texture where alpha is below `cut_low` plus 0 to 3 `cut_step`: a 2x2 pattern of samples, so
    that averaging gives partial coverage.
    """
    height, width = ids.shape
    for j in range(height):
        for i in range(width):
            zbuffer[j, i] = 0
            ids[j, i] = -1
    zero, one = np.float32(0.0), np.float32(1.0)
    last_x, last_y = np.float32(width - 1), np.float32(height - 1)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0 = screen[a, 0], screen[a, 1]
        x1, y1 = screen[b, 0], screen[b, 1]
        x2, y2 = screen[c, 0], screen[c, 1]
        kind = material[t]
        # Corners run counter-clockwise outside, so with y down a front face has negative area.
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area == zero or (area > zero and (kind == 0 or kind == 2)):
            continue
        low_x = max(min(x0, min(x1, x2)), zero)
        low_y = max(min(y0, min(y1, y2)), zero)
        high_x = min(max(x0, max(x1, x2)), last_x)
        high_y = min(max(y0, max(y1, y2)), last_y)
        left, top = int(low_x), int(low_y)
        if np.float32(left) < low_x:
            left += 1
        if np.float32(top) < low_y:
            top += 1
        if np.float32(left) > high_x or np.float32(top) > high_y:
            continue
        right, bottom = int(high_x), int(high_y)
        na, nb, nc = screen[a, 2], screen[b, 2], screen[c, 2]
        if min(na, min(nb, nc)) <= zero:
            continue
        inverse = one / area
        # Barycentric weights of b and c are linear in x and y.
        bx, by = (y2 - y0) * inverse, (x0 - x2) * inverse
        cx, cy = (y0 - y1) * inverse, (x1 - x0) * inverse
        cut = kind == 1 or kind == 4
        for j in range(top, bottom + 1):
            dy = np.float32(j) - y0
            for i in range(left, right + 1):
                dx = np.float32(i) - x0
                wb = dx * bx + dy * by
                wc = dx * cx + dy * cy
                wa = one - wb - wc
                if min(wa, min(wb, wc)) < zero:
                    continue
                near = wa * na + wb * nb + wc * nc
                if near <= zbuffer[j, i]:
                    continue
                if cut:
                    qa, qb, qc = wa * na, wb * nb, wc * nc
                    scale = one / (qa + qb + qc)
                    u = (qa * uv[a, 0] + qb * uv[b, 0] + qc * uv[c, 0]) * scale
                    v = (qa * uv[a, 1] + qb * uv[b, 1] + qc * uv[c, 1]) * scale
                    limit = cut_low + cut_step * (2 * ((i + j) & 1) + (j & 1))
                    if (_alpha(wig, u, v) if kind == 1 else _alpha(colour, u, v)) < limit:
                        continue
                zbuffer[j, i] = near
                ids[j, i] = t


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy", inline="always")
def corner_weights(screen, a, b, c, x, y):
    """Barycentric weights of a screen position."""
    x0, y0 = screen[a, 0], screen[a, 1]
    x1, y1 = screen[b, 0], screen[b, 1]
    x2, y2 = screen[c, 0], screen[c, 1]
    inverse = np.float32(1.0) / ((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0))
    dx, dy = x - x0, y - y0
    wb = (dx * (y2 - y0) - dy * (x2 - x0)) * inverse
    wc = (dy * (x1 - x0) - dx * (y1 - y0)) * inverse
    return np.float32(1.0) - wb - wc, wb, wc


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy", inline="always")
def _faces_away(screen, a, b, c):
    """Whether the inside of a triangle is seen (corners run counter-clockwise outside)."""
    x0, y0 = screen[a, 0], screen[a, 1]
    return (screen[b, 0] - x0) * (screen[c, 1] - y0) > (screen[c, 0] - x0) * (screen[b, 1] - y0)


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy", inline="always")
def _bilinear(image, u, v):
    """Colour of an 8-bit image at a UV, in [0, 1]."""
    height, width = image.shape[0], image.shape[1]
    x = u * np.float32(width) - np.float32(0.5)
    y = v * np.float32(height) - np.float32(0.5)
    # UV is in [0, 1], so both are above -1; floor() would be a call to the C library.
    x0 = int(x + np.float32(1.0)) - 1
    y0 = int(y + np.float32(1.0)) - 1
    fx = x - np.float32(x0)
    fy = y - np.float32(y0)
    x1 = min(max(x0 + 1, 0), width - 1)
    y1 = min(max(y0 + 1, 0), height - 1)
    x0 = min(max(x0, 0), width - 1)
    y0 = min(max(y0, 0), height - 1)
    scale = np.float32(1.0 / 255.0)
    d = fx * fy * scale
    c = fy * scale - d
    b = fx * scale - d
    a = scale - b - c - d
    return (
        a * image[y0, x0, 0] + b * image[y0, x1, 0] + c * image[y1, x0, 0] + d * image[y1, x1, 0],
        a * image[y0, x0, 1] + b * image[y0, x1, 1] + c * image[y1, x0, 1] + d * image[y1, x1, 1],
        a * image[y0, x0, 2] + b * image[y0, x1, 2] + c * image[y1, x0, 2] + d * image[y1, x1, 2],
    )


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy", inline="always")
def lit_share(shadows, frames, k, x, y, z, radius, bias):
    """Share of a neighbourhood of light k's shadow map that does not block the light.

    `radius` is in shadow-map pixels and may be fractional; 5 taps are taken.
    """
    sx = frames[k, 0, 0] * x + frames[k, 0, 1] * y + frames[k, 0, 2] * z + frames[k, 0, 3]
    sy = frames[k, 1, 0] * x + frames[k, 1, 1] * y + frames[k, 1, 2] * z + frames[k, 1, 3]
    near = frames[k, 2, 0] * x + frames[k, 2, 1] * y + frames[k, 2, 2] * z + frames[k, 2, 3] + bias
    size = shadows.shape[1]
    margin = radius + np.float32(1.5)
    if sx < margin or sy < margin or sx > size - 1 - margin or sy > size - 1 - margin:
        return np.float32(1.0)
    count = np.float32(0.0)
    half = np.float32(0.5)
    if shadows[k, int(sy + half), int(sx + half)] <= near:
        count += np.float32(1.0)
    # The corners, turned by a fixed angle so that rows of the map do not show.
    a, b = np.float32(0.92) * radius, np.float32(0.39) * radius
    if shadows[k, int(sy + b + half), int(sx + a + half)] <= near:
        count += np.float32(1.0)
    if shadows[k, int(sy - b + half), int(sx - a + half)] <= near:
        count += np.float32(1.0)
    if shadows[k, int(sy + a + half), int(sx - b + half)] <= near:
        count += np.float32(1.0)
    if shadows[k, int(sy - a + half), int(sx + b + half)] <= near:
        count += np.float32(1.0)
    return count * np.float32(0.2)


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def shade(
    screen, packed, triangles, material, ids,
    colour, normal_map, wig, gloss, to_linear,
    eye, ambient, light_directions, light_colours, shadows, frames, radius, bias,
    bump, half_rate, out,
):  # fmt: skip
    """Light the samples of a raster: `out` (h, w, 4) linear RGB and coverage.

    Coverage is 0 where empty, 1 where lit, and 2 where a sample is covered but not lit: with
    `half_rate` only every other sample is, in a checkerboard.

    `gloss` (5,) is the highlight strength per material, `to_linear` (256,) the sRGB decoding
    table, `ambient` (9, 3) a polynomial of the normal, `light_directions` and `light_colours`
    (L, 3); `shadows` (L, S, S) with projections `frames` (L, 3, 4) are looked up with `radius`
    in their pixels and `bias` in nearness; `bump` is the strength of the normal map.
    """
    height, width = ids.shape
    zero, one, two = np.float32(0.0), np.float32(1.0), np.float32(2.0)
    num_lights = light_directions.shape[0]
    table_top = np.float32(255.0)
    for j in range(height):
        for i in range(width):
            t = ids[j, i]
            if t < 0:
                out[j, i, 0] = zero
                out[j, i, 1] = zero
                out[j, i, 2] = zero
                out[j, i, 3] = zero
                continue
            if half_rate and (i + j) & 1:
                out[j, i, 3] = two
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            wa, wb, wc = corner_weights(screen, a, b, c, np.float32(i), np.float32(j))
            wa *= screen[a, 2]
            wb *= screen[b, 2]
            wc *= screen[c, 2]
            scale = one / (wa + wb + wc)
            wa *= scale
            wb *= scale
            wc *= scale
            u = wa * packed[a, 6] + wb * packed[b, 6] + wc * packed[c, 6]
            v = wa * packed[a, 7] + wb * packed[b, 7] + wc * packed[c, 7]
            px = wa * packed[a, 0] + wb * packed[b, 0] + wc * packed[c, 0]
            py = wa * packed[a, 1] + wb * packed[b, 1] + wc * packed[c, 1]
            pz = wa * packed[a, 2] + wb * packed[b, 2] + wc * packed[c, 2]
            nx = wa * packed[a, 3] + wb * packed[b, 3] + wc * packed[c, 3]
            ny = wa * packed[a, 4] + wb * packed[b, 4] + wc * packed[c, 4]
            nz = wa * packed[a, 5] + wb * packed[b, 5] + wc * packed[c, 5]
            scale = one / math.sqrt(nx * nx + ny * ny + nz * nz + np.float32(1e-20))
            nx *= scale
            ny *= scale
            nz *= scale
            vx, vy, vz = eye[0] - px, eye[1] - py, eye[2] - pz
            scale = one / math.sqrt(vx * vx + vy * vy + vz * vz)
            vx *= scale
            vy *= scale
            vz *= scale
            kind = material[t]
            if kind != 2 and _faces_away(screen, a, b, c):
                nx, ny, nz = -nx, -ny, -nz
            # Shadows are looked up a little above the smooth surface.
            lift = np.float32(0.008)
            ox, oy, oz = px + lift * nx, py + lift * ny, pz + lift * nz
            if kind == 1:
                red, green, blue = _bilinear(wig, u, v)
            else:
                red, green, blue = _bilinear(colour, u, v)
            if kind == 0 and bump > zero:
                m0, m1, m2 = _bilinear(normal_map, u, v)
                m0 = (m0 * two - one) * bump
                m1 = (m1 * two - one) * bump
                m2 = m2 * two - one
                d1u, d1v = packed[b, 6] - packed[a, 6], packed[b, 7] - packed[a, 7]
                d2u, d2v = packed[c, 6] - packed[a, 6], packed[c, 7] - packed[a, 7]
                det = d1u * d2v - d2u * d1v
                if det != zero:
                    hand = one if det > zero else -one
                    f1, f2 = d2v * hand, d1v * hand
                    tx = (packed[b, 0] - packed[a, 0]) * f1 - (packed[c, 0] - packed[a, 0]) * f2
                    ty = (packed[b, 1] - packed[a, 1]) * f1 - (packed[c, 1] - packed[a, 1]) * f2
                    tz = (packed[b, 2] - packed[a, 2]) * f1 - (packed[c, 2] - packed[a, 2]) * f2
                    along = tx * nx + ty * ny + tz * nz
                    tx -= along * nx
                    ty -= along * ny
                    tz -= along * nz
                    scale = one / math.sqrt(tx * tx + ty * ty + tz * tz + np.float32(1e-20))
                    tx *= scale
                    ty *= scale
                    tz *= scale
                    hx = (ny * tz - nz * ty) * hand
                    hy = (nz * tx - nx * tz) * hand
                    hz = (nx * ty - ny * tx) * hand
                    nx, ny, nz = (
                        tx * m0 + hx * m1 + nx * m2,
                        ty * m0 + hy * m1 + ny * m2,
                        tz * m0 + hz * m1 + nz * m2,
                    )
                    scale = one / math.sqrt(nx * nx + ny * ny + nz * nz + np.float32(1e-20))
                    nx *= scale
                    ny *= scale
                    nz *= scale
            xy, yz, xz = nx * ny, ny * nz, nx * nz
            zz = np.float32(3.0) * nz * nz - one
            xx = nx * nx - ny * ny
            light_r = max(
                zero,
                ambient[0, 0] + ambient[1, 0] * ny + ambient[2, 0] * nz
                + ambient[3, 0] * nx + ambient[4, 0] * xy + ambient[5, 0] * yz
                + ambient[6, 0] * zz + ambient[7, 0] * xz + ambient[8, 0] * xx,
            )  # fmt: skip
            light_g = max(
                zero,
                ambient[0, 1] + ambient[1, 1] * ny + ambient[2, 1] * nz
                + ambient[3, 1] * nx + ambient[4, 1] * xy + ambient[5, 1] * yz
                + ambient[6, 1] * zz + ambient[7, 1] * xz + ambient[8, 1] * xx,
            )  # fmt: skip
            light_b = max(
                zero,
                ambient[0, 2] + ambient[1, 2] * ny + ambient[2, 2] * nz
                + ambient[3, 2] * nx + ambient[4, 2] * xy + ambient[5, 2] * yz
                + ambient[6, 2] * zz + ambient[7, 2] * xz + ambient[8, 2] * xx,
            )  # fmt: skip
            shine_r = zero
            shine_g = zero
            shine_b = zero
            strength = gloss[kind]
            for k in range(num_lights):
                lx = light_directions[k, 0]
                ly = light_directions[k, 1]
                lz = light_directions[k, 2]
                facing = nx * lx + ny * ly + nz * lz
                if facing <= zero:
                    continue
                seen = lit_share(shadows, frames, k, ox, oy, oz, radius, bias)
                if seen <= zero:
                    continue
                diffuse = facing * seen
                light_r += light_colours[k, 0] * diffuse
                light_g += light_colours[k, 1] * diffuse
                light_b += light_colours[k, 2] * diffuse
                hx, hy, hz = lx + vx, ly + vy, lz + vz
                scale = one / math.sqrt(hx * hx + hy * hy + hz * hz + np.float32(1e-12))
                half = max(zero, (nx * hx + ny * hy + nz * hz) * scale)
                # Schlick's Fresnel term and a power of 16 by squaring (128 for eyes).
                graze = one - max(zero, (vx * hx + vy * hy + vz * hz) * scale)
                graze2 = graze * graze
                half *= half
                half *= half
                half *= half
                half *= half
                if kind == 2:
                    half *= half
                    half *= half
                    half *= half
                shine = half * seen * facing * strength
                shine *= one + np.float32(20.0) * graze2 * graze2 * graze
                shine_r += light_colours[k, 0] * shine
                shine_g += light_colours[k, 1] * shine
                shine_b += light_colours[k, 2] * shine
            out[j, i, 0] = to_linear[int(red * table_top + np.float32(0.5))] * light_r + shine_r
            out[j, i, 1] = to_linear[int(green * table_top + np.float32(0.5))] * light_g + shine_g
            out[j, i, 2] = to_linear[int(blue * table_top + np.float32(0.5))] * light_b + shine_b
            out[j, i, 3] = one


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def resolve(samples, factor, out):
    """Average the samples around each pixel: `out` (H, W, 4), a box with halved edges if even.

    The colour is the mean of the lit samples, alpha the share of the covered ones.
    """
    half = factor // 2
    edge = np.float32(1.0) if factor % 2 else np.float32(0.5)
    step = np.float32(1.0) / np.float32(factor)
    one, zero = np.float32(1.0), np.float32(0.0)
    height, width = samples.shape[0], samples.shape[1]
    first, last, left, right = height, -1, width, -1
    for j in range(height):
        for i in range(width):
            if samples[j, i, 3] > zero:
                first, last = min(first, j), max(last, j)
                left, right = min(left, i), max(right, i)
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            out[row, column, 0] = zero
            out[row, column, 1] = zero
            out[row, column, 2] = zero
            out[row, column, 3] = zero
    # A pixel's samples are factor * row .. factor * row + 2 half.
    low_row, high_row = max(0, (first - 2 * half) // factor), last // factor + 1
    low_column, high_column = max(0, (left - 2 * half) // factor), right // factor + 1
    for row in range(low_row, min(high_row, out.shape[0])):
        for column in range(low_column, min(high_column, out.shape[1])):
            r, g, b, covered, lit = zero, zero, zero, zero, zero
            for q in range(2 * half + 1):
                j = row * factor + q
                wy = edge * step if q == 0 or q == 2 * half else step
                for p in range(2 * half + 1):
                    i = column * factor + p
                    state = samples[j, i, 3]
                    if state > zero:
                        w = wy * (edge * step if p == 0 or p == 2 * half else step)
                        covered += w
                        if state < np.float32(1.5):
                            lit += w
                            r += w * samples[j, i, 0]
                            g += w * samples[j, i, 1]
                            b += w * samples[j, i, 2]
            if lit > zero:
                scale = min(covered, one) / lit
                out[row, column, 0] = r * scale
                out[row, column, 1] = g * scale
                out[row, column, 2] = b * scale
                out[row, column, 3] = min(covered, one)


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def encode(linear, table, out):
    """sRGB-encode non-negative linear light: `out` in [0, 255]; `table` is over square roots."""
    last = np.float32(table.shape[0] - 1)
    flat, flat_out = linear.reshape(-1), out.reshape(-1)
    for k in range(flat.shape[0]):
        value = min(max(flat[k], np.float32(0.0)), np.float32(1.0))
        flat_out[k] = table[int(math.sqrt(value) * last + np.float32(0.5))]


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def ground_light(
    turn, focal, centre_x, centre_y, eye, ground_y, light_directions, light_colours,
    ambient_level, shadows, frames, radius, bias, contacts, contact_reach, stride, out,
):  # fmt: skip
    """Share of the light that reaches the floor at every `stride`-th pixel: `out`, 1 elsewhere.

    Lights and shadows are as for `shade`; `ambient_level` is the irradiance / pi of the floor
    without them, `contacts` (N, 4) x, z, radius, height above the floor of what blocks ambient
    light, `contact_reach` the metres over which that shadow fades with height.
    """
    zero, one = np.float32(0.0), np.float32(1.0)
    num_lights = light_directions.shape[0]
    full = ambient_level
    for k in range(num_lights):
        power = light_colours[k, 0] + light_colours[k, 1] + light_colours[k, 2]
        full += max(zero, light_directions[k, 1]) * power / np.float32(3.0)
    if full <= zero:
        full = one
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            out[row, column] = one
            x = (np.float32(column * stride) - centre_x) / focal
            y = (np.float32(row * stride) - centre_y) / focal
            down = turn[0, 1] * x + turn[1, 1] * y + turn[2, 1]
            if down > np.float32(-1e-5):
                continue
            step = (ground_y - eye[1]) / down
            if step <= zero:
                continue
            z = eye[2] + step * (turn[0, 2] * x + turn[1, 2] * y + turn[2, 2])
            x = eye[0] + step * (turn[0, 0] * x + turn[1, 0] * y + turn[2, 0])
            ambient = ambient_level
            for n in range(contacts.shape[0]):
                dx, dz = x - contacts[n, 0], z - contacts[n, 1]
                size = contacts[n, 2] + contacts[n, 3]
                square = (dx * dx + dz * dz) / (size * size)
                if square < np.float32(9.0):
                    fade = max(zero, one - contacts[n, 3] / contact_reach)
                    ambient *= one - np.float32(0.75) * fade * math.exp(-square)
            light = ambient
            for k in range(num_lights):
                facing = light_directions[k, 1]
                if facing > zero:
                    power = light_colours[k, 0] + light_colours[k, 1] + light_colours[k, 2]
                    seen = lit_share(shadows, frames, k, x, ground_y, z, radius, bias)
                    light += facing * power * seen / np.float32(3.0)
            out[row, column] = light / full


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def surface(
    screen, uv, triangles, material, part, label, ids, factor,
    out_uv, out_depth, out_part, out_parse,
):  # fmt: skip
    """Look up what each pixel of a raster shows; pixels without a triangle become zero.

    `part` (V,) is of `rig.PARTS`; `label` is a texture of `rig.PARSE` for material 0 and 3, 0 in
    it means "by body part". `out_depth` is in metres.
    """
    height, width = out_part.shape
    half = factor // 2
    for j in range(height):
        for i in range(width):
            x, y = i * factor + half, j * factor + half
            t = ids[y, x]
            if t < 0:
                out_uv[j, i, 0] = 0
                out_uv[j, i, 1] = 0
                out_depth[j, i] = 0
                out_part[j, i] = 0
                out_parse[j, i] = 0
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            wa, wb, wc = corner_weights(screen, a, b, c, np.float32(x), np.float32(y))
            if wa >= wb and wa >= wc:
                nearest = part[a]
            elif wb >= wc:
                nearest = part[b]
            else:
                nearest = part[c]
            wa *= screen[a, 2]
            wb *= screen[b, 2]
            wc *= screen[c, 2]
            depth = np.float32(1.0) / (wa + wb + wc)
            u = (wa * uv[a, 0] + wb * uv[b, 0] + wc * uv[c, 0]) * depth
            v = (wa * uv[a, 1] + wb * uv[b, 1] + wc * uv[c, 1]) * depth
            out_uv[j, i, 0] = u
            out_uv[j, i, 1] = v
            out_depth[j, i] = depth
            out_part[j, i] = nearest
            kind = material[t]
            if kind == 1 or kind == 4:
                parse = 1
            elif kind == 2:
                parse = 2
            else:
                row = min(max(int(v * label.shape[0]), 0), label.shape[0] - 1)
                column = min(max(int(u * label.shape[1]), 0), label.shape[1] - 1)
                parse = label[row, column]
                if parse == 0:
                    if nearest <= 2 or nearest == 15:
                        parse = 2
                    elif nearest <= 8:
                        parse = 6
                    else:
                        parse = 7
            out_parse[j, i] = parse


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def flow_between(
    screen, triangles, ids, factor, other_screen, other_near, other_ids, other_factor,
    tolerance, out_flow, out_visible,
):  # fmt: skip
    """Where the surface seen by each pixel lies in the other view, and whether it shows there.

    `out_flow` (H, W, 2): x and y offsets in pixels, 0 where there is no body. A point shows if
    it is not more than `tolerance` metres behind what the other view sees around it.
    """
    height, width = out_visible.shape
    other_height, other_width = other_ids.shape
    one, half = np.float32(1.0), np.float32(0.5)
    middle, other_middle = factor // 2, other_factor // 2
    per_pixel = one / np.float32(other_factor)
    for j in range(height):
        for i in range(width):
            out_visible[j, i] = 0
            out_flow[j, i, 0] = 0
            out_flow[j, i, 1] = 0
            sx, sy = i * factor + middle, j * factor + middle
            t = ids[sy, sx]
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            near_a, near_b, near_c = other_screen[a, 2], other_screen[b, 2], other_screen[c, 2]
            if near_a <= 0 or near_b <= 0 or near_c <= 0:
                continue
            wa, wb, wc = corner_weights(screen, a, b, c, np.float32(sx), np.float32(sy))
            # Weights on the surface, then its homogeneous position in the other view.
            wa *= screen[a, 2] / near_a
            wb *= screen[b, 2] / near_b
            wc *= screen[c, 2] / near_c
            scale = one / (wa + wb + wc)
            x = (
                wa * other_screen[a, 0] + wb * other_screen[b, 0] + wc * other_screen[c, 0]
            ) * scale
            y = (
                wa * other_screen[a, 1] + wb * other_screen[b, 1] + wc * other_screen[c, 1]
            ) * scale
            near = (wa * near_a + wb * near_b + wc * near_c) * scale
            out_flow[j, i, 0] = (x - np.float32(other_middle)) * per_pixel - np.float32(i)
            out_flow[j, i, 1] = (y - np.float32(other_middle)) * per_pixel - np.float32(j)
            if x < -half or y < -half:
                continue
            column, row = int(x + half), int(y + half)
            if column >= other_width or row >= other_height:
                continue
            if other_ids[row, column] < 0:
                continue
            depth = one / near
            seen = one / other_near[row, column]
            farthest = seen
            for q in range(max(0, row - 1), min(other_height, row + 2)):
                for p in range(max(0, column - 1), min(other_width, column + 2)):
                    if other_ids[q, p] >= 0:
                        d = one / other_near[q, p]
                        if d > farthest and d - seen < np.float32(2.5) * tolerance:
                            farthest = d
            if depth <= farthest + tolerance:
                out_visible[j, i] = 1


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def compose(rgba, ground, backdrop, out):
    """Person over background: `out` (H, W, 3) linear RGB."""
    one = np.float32(1.0)
    for j in range(out.shape[0]):
        for i in range(out.shape[1]):
            seen = (one - rgba[j, i, 3]) * ground[j, i]
            for k in range(3):
                out[j, i, k] = rgba[j, i, k] + seen * backdrop[j, i, k]


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def develop(linear, factors, contrast, luma_noise, chroma_noise, noise, table, out):
    """Linear light to an 8-bit picture: exposure, sRGB, S curve, noise (see `photo.Look`)."""
    last = np.float32(table.shape[0] - 1)
    one, zero, top = np.float32(1.0), np.float32(0.0), np.float32(255.0)
    for j in range(out.shape[0]):
        for i in range(out.shape[1]):
            grey = luma_noise * noise[j, i, 3]
            for k in range(3):
                value = min(max(linear[j, i, k] * factors[k], zero), one)
                x = table[int(math.sqrt(value) * last + np.float32(0.5))] / top
                curve = x * x * (np.float32(3.0) - np.float32(2.0) * x)
                x = (x + contrast * (curve - x)) * top
                x += grey + chroma_noise * noise[j, i, k]
                out[j, i, k] = int(min(max(x + np.float32(0.5), zero), top))


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def part_extents(packed, part, num_parts):
    """(num_parts, 4): mean x, mean z, lowest y and number of the vertices of each part."""
    out = np.zeros((num_parts, 4), np.float32)
    out[:, 2] = np.float32(1e9)
    for v in range(packed.shape[0]):
        p = part[v]
        out[p, 0] += packed[v, 0]
        out[p, 1] += packed[v, 2]
        out[p, 2] = min(out[p, 2], packed[v, 1])
        out[p, 3] += np.float32(1.0)
    for p in range(num_parts):
        if out[p, 3] > 0:
            out[p, 0] /= out[p, 3]
            out[p, 1] /= out[p, 3]
    return out


@numba.njit(cache=True, fastmath=_FAST, error_model="numpy")
def bounds(packed):
    """(2, 3): lowest and highest position of the vertices."""
    out = np.empty((2, 3), np.float32)
    for k in range(3):
        out[0, k] = packed[0, k]
        out[1, k] = packed[0, k]
    for v in range(packed.shape[0]):
        for k in range(3):
            out[0, k] = min(out[0, k], packed[v, k])
            out[1, k] = max(out[1, k], packed[v, k])
    return out
