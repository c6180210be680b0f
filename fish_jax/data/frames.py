"""The first frame of an image file, loaded as a browser shows it."""

from typing import NamedTuple

from PIL import Image, ImageFile, JpegImagePlugin

from fish_jax.data import mending, tiff


class Frame(NamedTuple):
    """An image with the properties that Pillow forgets when it loads the pixels.

    Attributes:
      image: loaded.
      raw_mode: Pillow's name for how the pixels are stored, such as "RGB;16B", or "".
      kind: the kind of a TIFF.
    """

    image: Image.Image
    raw_mode: str = ""
    kind: tiff.Kind | None = None


def load(image: ImageFile.ImageFile, data: bytes) -> Frame:
    """Loads the pixels of the first frame.

    Args:
      image: opened, at the right page.
      data: the bytes of its file.

    Raises:
      ValueError: Pillow would read it, but wrongly.
      Exception: the file is damaged.
    """
    kind = tiff.kind_of(image)
    if kind and tiff.is_misread(kind):
        raise ValueError(tiff.refusal(kind))
    tiff.mend_palette(image)
    if getattr(image, "default_image", False):  # Of an animated PNG; browsers never show it.
        _skip_default_image(image)
    stored = image.tile[0] if image.tile else None
    arguments = stored.args if stored else ""
    raw_mode = arguments[0] if isinstance(arguments, tuple) else arguments
    try:
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            image = _load_jpeg(image, data)
        image.load()
    except ValueError as error:
        raise ValueError(tiff.refusal(kind)) if kind else error from None
    frame = Frame(image, str(raw_mode or ""), kind)
    if image.format == "GIF" and "transparency" not in image.info and stored and stored.extents:
        return frame._replace(image=_on_canvas(image, stored.extents))
    return frame


def _load_jpeg(image: JpegImagePlugin.JpegImageFile, data: bytes) -> ImageFile.ImageFile:
    """Loads a JPEG; returns a new image if the file lacks its end."""
    shrink = image.decoderconfig[0] if image.decoderconfig else 1  # as `draft` set it
    try:
        image.load()
    except OSError:
        complete = mending.complete_jpeg(data, shrink)
        if complete is None:
            raise
        return complete
    mending.check_jpeg(image, data, shrink)
    return image


def _skip_default_image(image: ImageFile.ImageFile) -> None:
    image.seek(1)
    if image.info.get("bbox") != (0, 0, *image.size) or image.info.get("blend"):
        raise ValueError("an animated PNG with a partial first frame: convert it to a still image")


def _on_canvas(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """Makes the canvas outside of a frame transparent; Pillow uses the first colour."""
    if box == (0, 0, *image.size):
        return image
    canvas = Image.new("RGBA", image.size)
    canvas.paste(image.crop(box).convert("RGB"), box)
    return canvas
