"""Fetching, decoding and writing shards: this project against img2dataset, in turn, over the same server.

`make bench-fetch`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from jobs.bench.codec import codec_ceiling, mean_psnr
from jobs.bench.downloaders import PARTS, Downloader, write_url_list
from jobs.bench.file_server import serve_files
from jobs.bench.photos import PhotoSet, make_photos
from jobs.exit_codes import ExitCode, exit_code_of

_START_ROWS = 20 * PARTS
_CODEC_IMAGES = 1000
_PSNR_EVERY = 20
_PEER, _OWN = "img2dataset", "curation"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs both downloaders and prints their rates."""
    parser = argparse.ArgumentParser(prog="python -m jobs.bench.fetch", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/bench-fetch"))
    parser.add_argument("--img2dataset", type=Path, required=True, help="its command, in an environment of its own")
    parser.add_argument("--images", type=int, default=8000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args(argv)
    return exit_code_of(lambda: _bench(args))


def _bench(args: argparse.Namespace) -> int:
    images = args.images - args.images % PARTS
    photos = make_photos(args.out / "photos", images)
    tools = [Downloader(_PEER, args.out / _PEER, args.img2dataset.absolute()), Downloader(_OWN, args.out / _OWN)]
    paths = [args.out / "photos" / PhotoSet.path_of(index) for index in range(0, images, -(-images // _CODEC_IMAGES))]
    rounds = []
    with serve_files(args.out / "photos", args.out / "nginx") as port:
        start, full = (_url_list(args.out, port, rows) for rows in (_START_ROWS, images))
        for number in range(args.rounds):
            # Who comes first changes, since a warm page cache or a hot processor helps or hurts who comes next.
            order = tools if number % 2 == 0 else tools[::-1]
            rates = {tool.name: _steady(tool, start, full, images) for tool in order}
            # Measured in each round, since what else the machine does weighs on it as well.
            rates["codec"] = {"images_per_s": codec_ceiling(paths)}
            rounds.append(rates)
            sys.stdout.write(json.dumps({"round": number, **rates}) + "\n")
            sys.stdout.flush()
        quality = {tool.name: _psnr(tool, args.out / "photos", port) for tool in tools}
    sys.stdout.write(json.dumps(_summary(photos, rounds, quality)) + "\n")
    return ExitCode.DONE


def _url_list(out: Path, port: int, rows: int) -> Path:
    urls = [f"http://127.0.0.1:{port}/{PhotoSet.path_of(index)}" for index in range(rows)]
    return write_url_list(out / f"urls-{rows}.parquet", urls)


def _steady(tool: Downloader, start: Path, full: Path, images: int) -> dict[str, float]:
    """Rates of a run without its start-up: what a run over a few rows in as many shards costs is taken off."""
    begun = tool.run(start, _START_ROWS)
    done = tool.run(full, images)
    rows = images - _START_ROWS
    return {
        "images_per_s": rows / (done.wall_s - begun.wall_s),
        "images_per_cpu_s": rows / (done.cpu_s - begun.cpu_s),
        "wall_s": done.wall_s,
        "cpu_s": done.cpu_s,
        "start_wall_s": begun.wall_s,
        "start_cpu_s": begun.cpu_s,
    }


def _psnr(tool: Downloader, photos: Path, port: int) -> float:
    root = f"http://127.0.0.1:{port}/"
    chosen = [
        ((photos / url.removeprefix(root)).read_bytes(), image)
        for url, image in tool.images()
        if int(Path(url).stem) % _PSNR_EVERY == 0
    ]
    return mean_psnr(chosen)


def _summary(
    photos: PhotoSet, rounds: list[dict[str, dict[str, float]]], quality: dict[str, float]
) -> dict[str, object]:
    def of(tool: str, figure: str) -> float:
        return median(done[tool][figure] for done in rounds)

    def ratio(figure: str) -> float:
        return round(median(done[_OWN][figure] / done[_PEER][figure] for done in rounds), 3)

    return {
        "bench": "fetch",
        "images": photos.count,
        "mean_bytes": round(photos.bytes / photos.count),
        "mean_pixels": round(photos.pixels / photos.count),
        "rounds": len(rounds),
        **{
            tool: {figure: round(of(tool, figure), 1) for figure in rounds[0][tool]}
            | {"psnr_db": round(quality[tool], 2)}
            for tool in (_PEER, _OWN)
        },
        "wall_ratio": ratio("images_per_s"),
        "cpu_ratio": ratio("images_per_cpu_s"),
        "codec_images_per_s": round(of("codec", "images_per_s"), 1),
        "share_of_codec": round(
            median(done[_OWN]["images_per_s"] / done["codec"]["images_per_s"] for done in rounds), 3
        ),
        "psnr_difference_db": round(quality[_OWN] - quality[_PEER], 2),
    }


if __name__ == "__main__":
    sys.exit(main())
