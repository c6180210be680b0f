"""Colour spaces: which one the numbers of an image are in, and how they become sRGB."""

import functools
import io
import struct
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageCms

_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_MOST_PROFILE = 8_000_000  # Bytes; those of printers have two million.
_SRGB_GAMMA = 0.45455  # What programs write into the gAMA chunk of a PNG that is in sRGB.
# x and y of white, red, green and blue, by the code points of ITU-T H.273.
_PRIMARIES = {
    1: (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06),  # sRGB
    9: (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),  # BT.2020
    12: (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # Display P3
}
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_D50 = np.array([0.9642, 1.0, 0.8249])  # The white of all profiles.

ToRGB = Callable[[Image.Image], Image.Image]


class WrongProfile(Exception):
    """A colour profile is damaged, or of another kind of colours than its image."""


def profile_of(image: Image.Image, code_points: bytes = b"") -> bytes:
    """Finds the colour profile of an image, or makes one from what a PNG says instead.

    Args:
      image: as opened; it need not be loaded.
      code_points: the content of the cICP chunk of a PNG, which counts before all else.

    Returns:
      An ICC profile; b"" if the image is in sRGB, or says nothing.

    Raises:
      WrongProfile: the numbers describe no colours.
      ValueError: the colours are of a kind that has no agreed look in sRGB, as HDR.
    """
    if code_points:
        return _profile_of_code_points(code_points)
    if "icc_profile" in image.info:
        # Pillow gives None for what it cannot unpack; that is damage, not absence.
        return bytes(image.info["icc_profile"] or b"damaged")
    gamma = image.info.get("gamma", 0)
    if not 0.01 < gamma < 100 or "srgb" in image.info:
        return b""
    primaries = image.info.get("chromaticity", _PRIMARIES[1])
    is_usual = abs(gamma - _SRGB_GAMMA) < 0.005 and np.allclose(primaries, _PRIMARIES[1], atol=2e-3)
    return b"" if is_usual else make_profile(primaries, _power_curve(1 / gamma))


def _profile_of_code_points(code_points: bytes) -> bytes:
    primaries, transfer, matrix, full_range = code_points.ljust(4, b"\0")[:4]
    curves = {4: _power_curve(2.2), 5: _power_curve(2.8), 8: _power_curve(1), 13: _srgb_curve()}
    if primaries not in _PRIMARIES or transfer not in curves or matrix or full_range != 1:
        raise ValueError(
            f"its colours have the code points {primaries}/{transfer} of ITU-T H.273, which are "
            "not supported: convert it to sRGB"
        )
    is_srgb = (primaries, transfer) == (1, 13)
    return b"" if is_srgb else make_profile(_PRIMARIES[primaries], curves[transfer])


def _power_curve(exponent: float) -> bytes:
    return b"curv" + struct.pack(">IIH", 0, 1, round(exponent * 256))


def _srgb_curve() -> bytes:
    levels = np.arange(4096) / 4095
    linear = np.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92)
    return b"curv" + struct.pack(">II", 0, 4096) + np.rint(65535 * linear).astype(">u2").tobytes()


def make_profile(primaries: Sequence[float], curve: bytes) -> bytes:
    """Makes an ICC profile of version 2 from primaries and a tone curve.

    Args:
      primaries: x and y of white, red, green and blue in CIE 1931, eight numbers.
      curve: a tag of type "curv", the same for the three channels.

    Raises:
      WrongProfile: no colours have such primaries.
    """
    pairs = zip(primaries[::2], primaries[1::2], strict=True)
    xyz = np.array([[x, y, 1 - x - y] for x, y in pairs])
    try:
        with np.errstate(all="raise"):
            white = xyz[0] / xyz[0, 1]
            columns = xyz[1:].T * np.linalg.solve(xyz[1:].T, white)
            scale = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
            columns = np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ columns
            fixed = np.rint(65536 * columns.T).astype(int)
        points = [struct.pack(">3i", *point) for point in fixed]
    except (ArithmeticError, np.linalg.LinAlgError, struct.error):
        raise WrongProfile from None
    tags = [(b"wtpt", b"XYZ \0\0\0\0" + struct.pack(">3i", *np.rint(65536 * _D50).astype(int)))]
    names = (b"rXYZ", b"gXYZ", b"bXYZ")
    tags += [(name, b"XYZ \0\0\0\0" + point) for name, point in zip(names, points, strict=True)]
    tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, content in tags:
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI12s", start + len(body), b"", 0x02100000, b"mntrRGB XYZ ")
    return head.ljust(36, b"\0") + b"acsp" + bytes(28) + tags[0][1][8:] + bytes(48) + table + body


def srgb_transform(profile: bytes, mode: str) -> ToRGB | None:
    """Makes the function that brings an image to sRGB.

    Colours are rendered perceptually, where the profile says how, as browsers do.

    Args:
      profile: an ICC profile.
      mode: the mode of the image.

    Returns:
      A function that takes an image of that mode, or a part of it, to one of mode RGB; transparency
      is dropped. None if the profile's colours are those of sRGB.

    Raises:
      WrongProfile: it is damaged, or not for images of this mode.
    """
    kind = _MODES.get(profile[16:20], "")
    is_grey = mode in ("1", "L", "LA") or mode.startswith("I;16") or mode in ("I", "F")
    suits = {"RGB": mode not in ("CMYK", "LAB"), "L": is_grey, "CMYK": mode == "CMYK"}
    if not suits.get(kind) or len(profile) > _MOST_PROFILE:
        raise WrongProfile
    if kind != "CMYK" and _is_srgb(profile, kind):
        return None
    transform = _transform(profile, kind)
    return lambda image: transform.apply(image if image.mode == kind else image.convert(kind))


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    try:
        origin = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.buildTransform(
            origin, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.PERCEPTUAL
        )
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise WrongProfile from error


@functools.lru_cache(maxsize=8)  # The images of a folder share one profile, or a few.
def _is_srgb(profile: bytes, mode: str) -> bool:
    """Whether a profile changes no colour by more than the rounding; most say sRGB."""
    steps = np.linspace(0, 255, 17).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(17, -1, 3)
    probe = Image.fromarray(cube if mode == "RGB" else np.arange(256, dtype=np.uint8)[None])
    converted = np.asarray(_transform(profile, mode).apply(probe)).astype(int)
    return bool(np.abs(converted - np.asarray(probe.convert("RGB"))).max() <= 1)
