import os
from pathlib import Path

from pictures import gradient, saved

from jobs.bench.codec import codec_ceiling, mean_psnr


def test_environment_is_as_before_when_the_codecs_were_measured(tmp_path: Path):
    path = tmp_path / "a.jpg"
    path.write_bytes(saved(gradient(300, 400), "jpg", quality=95))
    before = dict(os.environ)

    rate = codec_ceiling([path, path], processes=1)

    assert rate > 0
    assert dict(os.environ) == before


def test_likeness_falls_when_an_image_is_another():
    picture, other = saved(gradient(300, 400), "jpg", quality=95), saved(255 - gradient(300, 400), "jpg", quality=95)

    assert mean_psnr([(picture, picture)]) > 40
    assert mean_psnr([(picture, other)]) < 20
