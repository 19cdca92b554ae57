import sys
from pathlib import Path

import pytest

from curation.errors import RecipeError
from stages.fetch.images import FetchImages, FetchImagesConfig

LOOPBACK = {"allow_public": False, "allow_networks": ("127.0.0.0/8",)}


def check(**settings: object) -> None:
    FetchImages(FetchImagesConfig(**LOOPBACK, **settings)).check()


def test_the_remedy_is_named_when_img2dataset_is_missing(tmp_path: Path):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    python.chmod(0o755)
    for missing in (str(python), str(tmp_path / "nowhere")):
        with pytest.raises(RecipeError, match=r"pip install 'curation\[img2dataset\]'"):
            check(engine="img2dataset", robots=False, img2dataset_python=missing)


def test_the_recipe_must_do_without_robots_txt_when_img2dataset_fetches():
    with pytest.raises(RecipeError, match="robots: false"):
        check(engine="img2dataset")
