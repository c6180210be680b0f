"""Damages of images whose strength is relative to the image, so that it is alike at each size."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from benchmarks.photographs import to_pixels

# From images [N, H, W, 3] and a generator of random numbers to as many; all are uint8.
Damage = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def of_each(damage: Callable[[Image.Image], Image.Image]) -> Damage:
    """Applies a function of one Pillow image to each image."""

    def apply(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return np.stack([np.asarray(damage(Image.fromarray(image))) for image in images])

    return apply


def blur(height_over_sigma: float) -> Damage:
    """Gaussian blur, its deviation a fraction of the height."""
    return of_each(
        lambda image: image.filter(ImageFilter.GaussianBlur(image.height / height_over_sigma))
    )


def down_and_up(factor: int) -> Damage:
    """Resizes to 1 / factor of both sides, and back."""

    def resize(image: Image.Image) -> Image.Image:
        small = tuple(max(2, round(side / factor)) for side in image.size)
        return image.resize(small, Image.Resampling.BOX).resize(
            image.size, Image.Resampling.BICUBIC
        )

    return of_each(resize)


def jpeg(quality: int) -> Damage:
    """Compresses as JPEG, colours at half the resolution."""

    def compress(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return of_each(compress)


def noise(sigma: float) -> Damage:
    """Adds normal noise of sigma grey levels to each number."""
    return lambda images, rng: to_pixels(images + rng.normal(0, sigma, images.shape))


def shuffled_blocks(across: int) -> Damage:
    """Shuffles square blocks, `across` of which fill the height."""

    def shuffle(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        made = images.copy()
        side = images.shape[1] // across
        columns = images.shape[2] // side
        for image, source in zip(made, images):
            order = rng.permutation(across * columns)
            for place, other in enumerate(order):
                (y, x), (v, u) = (divmod(at, columns) for at in (place, other))
                image[y * side : (y + 1) * side, x * side : (x + 1) * side] = source[
                    v * side : (v + 1) * side, u * side : (u + 1) * side
                ]
        return made

    return shuffle


def _partners(images: np.ndarray) -> np.ndarray:
    """Another image for each; images lie in random order."""
    return np.roll(images, 1, axis=0)


def halves(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The left half of one image beside the right half of another."""
    middle = images.shape[2] // 2
    return np.concatenate([images[:, :, :middle], _partners(images)[:, :, middle:]], axis=2)


def blend(share: float) -> Damage:
    """Adds that share of another image."""
    return lambda images, rng: to_pixels((1 - share) * images + share * _partners(images))


def warp(amplitude: float) -> Damage:
    """Moves pixels along a smooth random field; its deviation is a fraction of the height."""

    def move(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = images.shape[1:3]
        grid = np.stack(np.mgrid[:height, :width])
        rows = [_warped(image, grid + _smooth_field(grid, amplitude, rng)) for image in images]
        return np.stack(rows)

    return move


def _smooth_field(grid: np.ndarray, amplitude: float, rng: np.random.Generator) -> np.ndarray:
    """Sums 8 waves as long as the height or half of it, for each direction: [2, H, W]."""
    height = grid.shape[1]
    frequencies = rng.uniform(-2, 2, (2, 8, 2)) / height
    phases = rng.uniform(0, 2 * np.pi, (2, 8, 1, 1))
    waves = np.cos(2 * np.pi * np.einsum("dwa,ahx->dwhx", frequencies, grid) + phases)
    return amplitude * height * waves.sum(1) / 2  # 8 waves have a variance of 4


def _warped(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Reads an image at places [2, H, W] by linear interpolation; its borders go on."""
    limits = np.array(image.shape[:2])[:, None, None] - 1
    places = np.clip(places, 0, limits)
    low = np.minimum(places.astype(int), limits - 1)
    y, x = low
    down, right = (places - low)[..., None]
    top = image[y, x] * (1 - right) + image[y, x + 1] * right
    bottom = image[y + 1, x] * (1 - right) + image[y + 1, x + 1] * right
    return to_pixels(top * (1 - down) + bottom * down)


def warmer(gain: float) -> Damage:
    """Multiplies red by the gain and divides blue by it."""
    return lambda images, rng: to_pixels(images * np.array([gain, 1, 1 / gain]))


def swapped_colours(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exchanges red, green and blue in a circle."""
    return np.roll(images, 1, axis=3)


def random_phases(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keeps the mean and the spectrum of each colour: textures without shapes."""
    height, width = images.shape[1:3]
    made = []
    for image in images:
        phase = np.fft.fft2(rng.normal(size=(height, width)))
        turn = (phase / np.abs(phase))[:, :, None]
        turn[0, 0] = 1
        spectrum = np.fft.fft2(image.astype(np.float64), axes=(0, 1))
        made.append(to_pixels(np.fft.ifft2(spectrum * turn, axes=(0, 1)).real))
    return np.stack(made)


def erased(share: float) -> Damage:
    """Fills a rectangle of that share of both sides with the mean colour of the image."""

    def erase(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        made = images.copy()
        sides = np.array(images.shape[1:3])
        lengths = np.rint(share * sides).astype(int)
        for image in made:
            y, x = rng.integers(0, sides - lengths + 1)
            image[y : y + lengths[0], x : x + lengths[1]] = to_pixels(image.mean((0, 1)))
        return made

    return erase


def mirrored_half(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The left half, and in place of the right half its mirror image."""
    left = images[:, :, : (images.shape[2] + 1) // 2]
    return np.concatenate([left, left[:, :, ::-1][:, :, images.shape[2] % 2 :]], axis=2)


def copies(times: int) -> Damage:
    """Each of the first images that many times."""
    return lambda images, rng: np.resize(images[: -(-len(images) // times)], images.shape)


def darkest(share: float) -> Damage:
    """Keeps the share of images of the least mean brightness, again and again: few modes."""

    def keep(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        order = np.argsort(images.mean((1, 2, 3)), kind="stable")
        return np.resize(images[order[: round(share * len(images))]], images.shape)

    return keep


DAMAGES: dict[str, Damage] = {
    "none": lambda images, rng: images,
    "blur 1/70": blur(70),
    "blur 1/35": blur(35),
    "blur 1/23": blur(23),
    "blur 1/10": blur(10),
    "noise 10": noise(10),
    "noise 25": noise(25),
    "noise 60": noise(60),
    "jpeg 30": jpeg(30),
    "jpeg 10": jpeg(10),
    "jpeg 3": jpeg(3),
    "down 2": down_and_up(2),
    "down 4": down_and_up(4),
    "down 8": down_and_up(8),
    "blocks 1/2": shuffled_blocks(2),
    "blocks 1/4": shuffled_blocks(4),
    "blocks 1/7": shuffled_blocks(7),
    "halves": halves,
    "blend 15 %": blend(0.15),
    "blend 50 %": blend(0.5),
    "warp 1/40": warp(1 / 40),
    "warp 1/14": warp(1 / 14),
    "warp 1/5": warp(1 / 5),
    "warmer 1.1": warmer(1.1),
    "warmer 1.5": warmer(1.5),
    "swapped colours": swapped_colours,
    "random phases": random_phases,
    "erased 1/4": erased(1 / 4),
    "erased 1/2": erased(1 / 2),
    "erased 3/4": erased(3 / 4),
    "mirrored half": mirrored_half,
    "darkest half": darkest(1 / 2),
    "darkest eighth": darkest(1 / 8),
    "copies 5": copies(5),
    "copies 40": copies(40),
}
