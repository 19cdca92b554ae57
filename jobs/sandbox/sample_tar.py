"""WebDataset tars whose bytes depend on nothing but their samples."""

import io
import json
import os
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

Sample = tuple[str, Mapping[str, bytes]]
"""A key and, for each extension, the bytes of the sample's file."""


def write_sample_tar(path: Path, samples: Iterable[Sample]) -> int:
    """Writes samples to a tar, put in its place when it is whole, and returns their number."""
    unfinished = path.with_name(f"{path.name}.unfinished-{os.getpid()}")
    count = 0
    with tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, members in samples:
            count += 1
            for extension, body in members.items():
                entry = tarfile.TarInfo(f"{key}.{extension}")
                entry.size = len(body)
                entry.mode = 0o644
                tar.addfile(entry, io.BytesIO(body))
    unfinished.replace(path)
    return count


def json_bytes(value: object) -> bytes:
    """Returns compact JSON in UTF-8 with sorted keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
