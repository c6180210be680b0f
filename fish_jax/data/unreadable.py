"""Names for files that are no image of a kind that is read, by their first bytes."""

from fish_jax.data import tiff

_CONVERT = "which is not supported: convert it to JPEG or PNG"
_BRANDS = {  # Of files that begin as films do: what is at bytes 8 to 12.
    b"heic": "HEIC", b"heix": "HEIC", b"heim": "HEIC", b"heis": "HEIC", b"hevc": "HEIC",
    b"mif1": "HEIF", b"msf1": "HEIF", b"avif": "AVIF", b"avis": "AVIF",
    b"crx ": "raw photograph (CR3)",
}  # fmt: skip
_SIGNATURES = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n": "JPEG XL",
    b"\0\0\0\x0cjP  \r\n": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\xff\xd8\xff\xf7": "JPEG-LS",
    b"II\xbc\x01": "JPEG XR",
    b"MM\0+": "big-endian BigTIFF",
    b"8BPS": "Photoshop document",
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"\0\0\1\0": "Windows icon",
    b"DDS ": "DirectDraw surface",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"gimp xcf": "GIMP document",
    b"SIMPLE  =": "FITS",
    b"FUJIFILMCCD-RAW": "raw photograph (RAF)",
    b"IIU\0": "raw photograph (RW2)",
    b"IIRO": "raw photograph (ORF)",
    b"\x1aE\xdf\xa3": "film",
    b"qoif": "QOI",
    b"P5\n": "PNM",
    b"P6\n": "PNM",
}
_OTHERS = {
    b"version https://git-lfs": "a Git LFS pointer in place of the file: run git lfs pull",
    b"PK\3\4": "a zip, not an image: unpack it",
    b"\x1f\x8b": "a gzip file, not an image: unpack it",
    b"\x93NUMPY": "a NumPy array, not an image: give its path as data.path",
}
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body")
_DAMAGED = "not an image, or its first bytes are damaged"


def name_kind(data: bytes) -> str:
    """Names the kind of a file that Pillow does not recognise, and says what to do.

    Args:
      data: the whole file.

    Returns:
      A few words for a person, such as "HEIC, which is not read: convert it to JPEG or PNG".
    """
    start = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    for signature, words in _OTHERS.items():
        if start.startswith(signature):
            return words
    if start.lower().startswith(_PAGES):
        return "a web page in place of the file: download it again"
    if data[4:8] == b"ftyp":
        return f"{_brand(data)}, {_CONVERT}"
    for signature, name in _SIGNATURES.items():
        if data.startswith(signature):
            return f"{name}, {_CONVERT}"
    if b"<svg" in start:
        return f"SVG, {_CONVERT}"
    kind = tiff.describe(data)
    if kind:
        return tiff.refusal(kind)
    return "not an image: every byte is zero" if data.count(0) == len(data) else _DAMAGED


def _brand(data: bytes) -> str:
    """The kind of a file that begins as films do; of HEIC, the first brand may be a general one."""
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[8:12], *(data[place : place + 4] for place in range(16, size, 4))]
    names = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
    return next((name for name in names if name != "HEIF"), names[0] if names else "film")
