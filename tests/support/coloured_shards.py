"""Small shards of coloured circles, to train on."""

import io
import json
import tarfile

import cv2
import numpy as np

COLOURS = {"red": (220, 30, 30), "green": (30, 160, 50), "blue": (30, 60, 220), "white": (245, 245, 245)}


def write_tar(path, samples):
    """Writes a tar of (key, {extension: bytes})."""
    with tarfile.open(path, "w") as tar:
        for key, files in samples:
            for extension, body in files.items():
                entry = tarfile.TarInfo(f"{key}.{extension}")
                entry.size = len(body)
                tar.addfile(entry, io.BytesIO(body))


def _sample(number):
    name = list(COLOURS)[number % len(COLOURS)]
    draw = np.random.default_rng(number)
    image = draw.integers(0, 60, (70, 90, 3)).astype(np.uint8)
    cv2.circle(image, (45, 35), 12 + number % 9, COLOURS[name], -1)
    _, jpeg = cv2.imencode(".jpg", image[..., ::-1])
    facts = {
        "captions": [
            {"text": f"a {name} circle {number}", "model": "one", "prompt": "", "score": 0.0},
            {"text": f"{name} thing {number}", "model": "two", "prompt": "", "score": 0.0},
        ],
        "hard_negatives": [f"a black circle {number}"],
    }
    files = {"jpg": jpeg.tobytes(), "txt": f"{name} disc {number}".encode()}
    return f"{number:05d}", {**files, "json": json.dumps(facts).encode()}


def write_coloured_shards(folder):
    """Four shards of 15 samples, each a coloured circle, keys 00000 to 00059."""
    for shard in range(4):
        write_tar(folder / f"{shard:06d}.tar", [_sample(number) for number in range(shard * 15, shard * 15 + 15)])
