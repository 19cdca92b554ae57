import numpy as np
import pytest
from cykooz_resizer import FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer
from pictures import gradient
from PIL import Image

from curation.images.resize import Side, resize_pixels, target_size


@pytest.mark.parametrize(
    ("size", "side_px", "side", "upscale", "expected"),
    [
        ((1000, 500), 250, "shortest", False, (500, 250)),
        ((1000, 500), 250, "longest", False, (250, 125)),
        ((500, 1000), 333, "shortest", False, (333, 666)),
        ((1000, 3), 100, "longest", False, (100, 1)),
        ((100, 200), 150, "shortest", False, (100, 200)),
        ((100, 200), 150, "shortest", True, (150, 300)),
        ((150, 200), 150, "shortest", True, (150, 200)),
        ((100, 200), 150, "longest", False, (75, 150)),
        ((100, 200), None, "shortest", True, (100, 200)),
    ],
)
def test_size_follows_the_chosen_side(
    size: tuple[int, int], side_px: int | None, side: Side, upscale: bool, expected: tuple[int, int]
):
    assert target_size(size, side_px, side, upscale=upscale) == expected


@pytest.mark.parametrize("size", [(40, 30), (160, 120), (80, 60)])
def test_picture_stays_the_same_picture_when_it_is_resized(size: tuple[int, int]):
    resized = resize_pixels(gradient(80, 60), size)[..., :3]
    assert resized.shape == (size[1], size[0], 3)
    assert np.abs(resized.astype(int) - gradient(*size)).mean() < 2


@pytest.mark.parametrize("ratio", [1.6, 2.1, 3.7, 6.0])
def test_detail_too_fine_for_the_result_turns_grey_when_it_is_resized(ratio: float):
    size = 64
    across = round(size * ratio)
    stripes = np.zeros((across, across, 3), np.uint8)
    stripes[:, ::2] = 255
    resized = resize_pixels(stripes, (size, size))[..., :3]
    # Taking every nth pixel would leave stripes from 0 to 255.
    assert resized.astype(int).std() < 12
    assert abs(resized.astype(int).mean() - 127) < 4


@pytest.mark.parametrize("ratio", [1.3, 1.9, 3.1])
def test_result_is_near_lanczos_when_a_photo_shrinks(ratio: float):
    photo = gradient(300, 200)
    photo[40:120, 60:200] = 255 - photo[40:120, 60:200]
    size = round(300 / ratio), round(200 / ratio)
    wanted = np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS), np.float64)
    error = np.mean((resize_pixels(photo, size)[..., :3] - wanted) ** 2)
    assert 10 * np.log10(255**2 / error) > 30


@pytest.mark.parametrize("size", [(150, 100), (60, 200), (301, 201), (1, 1)])
def test_colours_are_those_of_the_resizers_own_pictures_whatever_the_fourth_channel_holds(size: tuple[int, int]):
    photo = np.random.default_rng(1).integers(0, 256, (200, 300, 3), np.uint8)
    shrinks = size[0] < 300 or size[1] < 200
    kind = FilterType.lanczos3 if shrinks else FilterType.catmull_rom
    own = ImageData(*size, PixelType.U8x3)
    Resizer().resize(
        ImageData(300, 200, PixelType.U8x3, photo.tobytes()), own, ResizeOptions(ResizeAlg.convolution(kind))
    )
    wanted = np.frombuffer(own.get_buffer(), np.uint8).reshape(size[1], size[0], 3)
    for spare in (0, 128, 255):
        four = np.dstack([photo, np.full((200, 300), spare, np.uint8)])
        assert (resize_pixels(four, size)[..., :3] == wanted).all()
    assert (resize_pixels(photo, size)[..., :3] == wanted).all()


def test_picture_is_the_same_when_it_is_too_large_for_a_resizer_that_is_kept():
    wide = resize_pixels(gradient(2600, 1700), (130, 85))
    assert np.abs(wide[..., :3].astype(int) - gradient(130, 85)).mean() < 2
