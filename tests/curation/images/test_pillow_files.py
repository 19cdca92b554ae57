import io
import subprocess
import sys

import pytest
from pictures import FORMATS, gradient, saved
from PIL import Image

from curation.images.failures import ImageFailure
from curation.images.pillow_files import load_picture, open_picture

PICTURE = gradient(24, 16)
BY_PILLOW = sorted(set(FORMATS) - {"jpg"})
FOREIGN = ("PPM", "ICO", "TGA", "PCX", "SGI", "EPS", "PDF", "JPEG2000", "DDS", "MPO", "MSP")


def _foreign(name: str) -> bytes:
    body = io.BytesIO()
    picture = Image.fromarray(PICTURE)
    (picture.convert("1") if name == "MSP" else picture).save(body, name)
    return body.getvalue()


@pytest.mark.parametrize("name", BY_PILLOW)
def test_no_other_decoder_steps_in_when_a_file_is_not_what_it_is_opened_as(name: str):
    assert open_picture(saved(PICTURE, name), name).size == (24, 16)
    others = [saved(PICTURE, other) for other in FORMATS if other != name] + [_foreign(other) for other in FOREIGN]
    for body in others:
        with pytest.raises(ImageFailure, match="corrupt_image"):
            load_picture(open_picture(body, name))


def test_only_the_decoders_that_are_used_are_loaded_when_a_decoding_process_starts():
    code = (
        "import sys, curation.images.decoder_child\n"
        "print(*(name for name in sys.modules if name.endswith('ImagePlugin')))\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    plugins, packages = (set(line.split()) for line in done.stdout.splitlines())
    assert plugins == {f"PIL.{name}ImagePlugin" for name in ("Avif", "Bmp", "Gif", "Png", "Tiff", "WebP")}
    assert {"pyarrow", "pydantic", "torch", "ray", "polars", "asyncio"}.isdisjoint(packages)
