"""The two downloaders that `bench-fetch` compares, brought to do the same: fetch, resize, encode, write shards."""

from __future__ import annotations

import io
import json
import shutil
import sys
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import yaml

from jobs.bench.process_tree import Cost, cost_of

SIDE_PX = 256
QUALITY = 95
PARTS = 8
"""Shards of one run: four for each of two processes, so that none is idle for long at the end."""

_PROCESSES = 2


def write_url_list(path: Path, urls: Sequence[str]) -> Path:
    """Writes what `Downloader.run` reads: each URL with a caption of its own."""
    pl.DataFrame({"url": urls, "caption": [f"photo {row}" for row in range(len(urls))]}).write_parquet(path)
    return path


@dataclass
class Downloader:
    """One of the two.

    Attributes:
        name: img2dataset or curation.
        out: Its folder; emptied before each run.
        img2dataset: The command of img2dataset; None makes this one the project's own.
        concurrency: Requests in flight, of each of two processes.
    """

    name: str
    out: Path
    img2dataset: Path | None = None
    concurrency: int = 32
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, urls: Path, rows: int, expected: int | None = None) -> Cost:
        """Downloads every URL of a Parquet file of `url` and `caption`.

        Args:
            urls: The file.
            rows: How many rows it has.
            expected: How many images there are to be had; None for one in each row.

        Raises:
            RuntimeError: It failed, or delivered another number of images.
        """
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        command = self._own_command(urls, rows) if self.img2dataset is None else self._peer_command(urls, rows)
        # In an empty folder: a folder named `ray` or `stages` beside it would be imported in place of the package.
        workplace = self.out / "empty"
        workplace.mkdir()
        cost = cost_of(command, workplace, self.environment, self.out / "log.txt")
        delivered = sum(1 for _ in self._tar_members())
        expected = rows if expected is None else expected
        if delivered != expected:
            raise RuntimeError(f"{self.name} delivered {delivered} images, not {expected}: see {self.out / 'log.txt'}")
        return cost

    def images(self) -> Iterator[tuple[str, bytes]]:
        """URL and image of every sample of the last run."""
        urls = dict(pl.read_parquet(self._folder() / "*.parquet", columns=["key", "url"]).iter_rows())
        for name, data in self._tar_members():
            yield urls[Path(name).stem], data

    def _tar_members(self) -> Iterator[tuple[str, bytes]]:
        for path in sorted(self._folder().glob("*.tar")):
            with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as tar:
                for member in tar:
                    if member.name.endswith(".jpg") and (file := tar.extractfile(member)):
                        yield member.name, file.read()

    def _folder(self) -> Path:
        if self.img2dataset is not None:
            return self.out / "shards"
        return self.out / "run" / json.loads((self.out / "run" / "run.json").read_text(encoding="utf-8"))["shards"]

    def _own_command(self, urls: Path, rows: int) -> list[str]:
        recipe = {
            "name": "bench-fetch",
            "source": {"kind": "url_table", "path": str(urls.resolve()), "url_column": "url"},
            "steps": [
                {
                    "kind": "fetch_images",
                    "concurrency": self.concurrency,
                    "per_host_concurrency": self.concurrency * _PROCESSES,
                    "allow_networks": ["127.0.0.0/8"],
                    "allow_ports": None,
                    "allow_public": False,
                },
                {"kind": "decode_images", "side_px": SIDE_PX, "resize": "shortest", "quality": QUALITY},
                # Its rows lie in the order of the source, so here, too, a shard is one part.
                {"kind": "write_shards", "shard_rows": rows // PARTS, "shuffle_window_rows": rows // PARTS},
            ],
            "run": {"part_rows": rows // PARTS, "max_workers": _PROCESSES},
        }
        path = self.out / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
        return [
            sys.executable,
            "-m",
            "jobs.curate",
            str(path.resolve()),
            "--out",
            str(self.out.resolve() / "run"),
            "--json",
        ]

    def _peer_command(self, urls: Path, rows: int) -> list[str]:
        self.environment = {"NO_ALBUMENTATIONS_UPDATE": "1", "WANDB_MODE": "disabled"}
        options = {
            "url_list": urls.resolve(),
            "input_format": "parquet",
            "url_col": "url",
            "caption_col": "caption",
            "output_format": "webdataset",
            "output_folder": self.out.resolve() / "shards",
            "processes_count": _PROCESSES,
            "thread_count": self.concurrency,
            "image_size": SIDE_PX,
            "resize_mode": "keep_ratio",
            "resize_only_if_bigger": True,
            "encode_quality": QUALITY,
            "number_sample_per_shard": rows // PARTS,
            "enable_wandb": False,
            # What this project does not do either.
            "extract_exif": False,
        }
        return [str(self.img2dataset), *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
