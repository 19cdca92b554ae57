"""Builds a sandbox web in a folder: the URL list, the truth, and what the server answers."""

import json
import logging
import multiprocessing
import shutil
import socket
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.sandbox.answers import answers_of
from jobs.sandbox.bodies import BODILESS, make_body
from jobs.sandbox.scene import make_scene
from jobs.sandbox.seeded import Draws
from jobs.sandbox.site import Answer, pack_path, write_index
from jobs.sandbox.trouble import CopyKind, Rates
from jobs.sandbox.web_folder import COMPLETE_NAME, SandboxWeb
from jobs.sandbox.web_plan import PlannedRow, plan_web

logger = logging.getLogger(__name__)

DEFAULT_PORT = 18_080
WEB_VERSION = 1
"""Raised when a web of the same parameters would come out differently."""

PAIRS_SCHEMA = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),
        pa.field("caption", pa.string(), nullable=False),
        pa.field("page_url", pa.string(), nullable=False),
        pa.field("width_hint", pa.int32()),
    ]
)
"""The URL list: what the pipeline reads. `width_hint` is the width that a page states, in pixels."""

TRUTH_SCHEMA = pa.schema(
    [
        pa.field("url", pa.string(), nullable=False),
        pa.field("caption", pa.string(), nullable=False),
        pa.field("scene_seed", pa.int64(), nullable=False),
        pa.field(
            "objects",
            pa.list_(pa.struct([pa.field("colour", pa.string()), pa.field("shape", pa.string())])),
            nullable=False,
        ),
        pa.field("caption_kind", pa.string(), nullable=False),
        pa.field("copy_kind", pa.string(), nullable=False),
        pa.field("group", pa.int64()),
        pa.field("is_original", pa.bool_(), nullable=False),
        pa.field("trouble", pa.string(), nullable=False),
    ]
)
"""The truth, one row per row of the URL list and in its order.

`objects` is what the picture shows, from left to right; `caption_kind`, `copy_kind` and `trouble`
are values of the enums in `jobs.sandbox.trouble`; rows with the same `group` show the same scene
(null: no copies), and one of them `is_original`.
"""

_SALT = 0x3EB
_PROCESSES = 2
_ROWS_PER_PACK = 250
_LOOPBACK = tuple(f"127.0.0.{last}" for last in range(1, 9))


def build_web(
    folder: Path,
    pairs: int = 3000,
    seed: int = 0,
    port: int = DEFAULT_PORT,
    rates: Rates | None = None,
) -> SandboxWeb:
    """Builds a web, or returns the one in the folder if it was built with the same arguments.

    The outcome depends on nothing but the arguments and on which of 127.0.0.1 to 127.0.0.8 this
    machine has. An unfinished web, or one built otherwise, is replaced.

    Args:
        folder: made when it is missing.
        pairs: rows of the URL list.
        seed: webs of different seeds (modulo 100) share no scene.
        port: where it will be served; it is part of every URL.
        rates: how much is wrong; the defaults are those of `Rates`.

    Raises:
        ValueError: if there are too few pairs for the rates.
    """
    rates = rates or Rates()
    hosts = loopback_hosts()
    asked = {
        "version": WEB_VERSION,
        "pairs": pairs,
        "seed": seed,
        "port": port,
        "hosts": list(hosts),
        "rates": rates.model_dump(mode="json"),
    }
    web = SandboxWeb(folder, pairs, seed, port, hosts)
    complete = folder / COMPLETE_NAME
    if complete.exists() and json.loads(complete.read_text()) == asked:
        logger.info("the sandbox web in %s is complete", folder)
        return web
    complete.unlink(missing_ok=True)
    web.request_log_path.unlink(missing_ok=True)
    shutil.rmtree(web.site_path, ignore_errors=True)
    web.site_path.mkdir(parents=True)
    rows = plan_web(pairs, seed, hosts, rates)
    _write_tables(web, rows)
    files = _write_bodies(web, rows)
    write_index(web.site_path, answers_of(rows, files, hosts, port))
    complete.write_text(json.dumps(asked, indent=1))
    return web


def loopback_hosts() -> tuple[str, ...]:
    """Returns which of 127.0.0.1 to 127.0.0.8 can be bound: all on Linux, often one elsewhere."""
    return tuple(host for host in _LOOPBACK if _can_bind(host))


def free_port(preferred: int = DEFAULT_PORT) -> int:
    """Returns the preferred port if nobody listens there on any loopback address, else a free one."""
    hosts = loopback_hosts()
    while not all(_can_bind(host, preferred) for host in hosts):
        with socket.socket() as probe:
            probe.bind((hosts[0], 0))
            preferred = probe.getsockname()[1]
    return preferred


def _can_bind(host: str, port: int = 0) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def _write_tables(web: SandboxWeb, rows: Sequence[PlannedRow]) -> None:
    pairs, truths = [], []
    for row in rows:
        draws = Draws(_SALT, web.seed, row.row_seed)
        url = f"http://{row.host}:{web.port}{row.path}"
        pairs.append(
            {
                "url": url,
                "caption": row.caption,
                "page_url": f"https://site-{draws.below(400)}.example/posts/{draws.below(10**6)}",
                "width_hint": row.long_side_px if draws.chance(0.6) else None,
            }
        )
        truths.append(
            {
                "url": url,
                "caption": row.caption,
                "scene_seed": row.scene_seed,
                "objects": [
                    {"colour": item.colour, "shape": item.shape} for item in make_scene(row.scene_seed).objects
                ],
                "caption_kind": row.caption_kind.value,
                "copy_kind": row.copy_kind.value,
                "group": row.group,
                "is_original": row.is_original,
                "trouble": row.trouble.value,
            }
        )
    pq.write_table(pa.Table.from_pylist(pairs, schema=PAIRS_SCHEMA), web.pairs_path)
    pq.write_table(pa.Table.from_pylist(truths, schema=TRUTH_SCHEMA), web.truth_path)


def _write_bodies(web: SandboxWeb, rows: Sequence[PlannedRow]) -> dict[int, Answer]:
    """Makes every file once and returns, by `row_seed`, where it is; with two processes."""
    own = [row for row in rows if row.trouble not in BODILESS and row.copy_kind is not CopyKind.EXACT]
    packs = [own[start : start + _ROWS_PER_PACK] for start in range(0, len(own), _ROWS_PER_PACK)]
    numbers = range(len(packs))
    sites, seeds = [web.site_path] * len(packs), [web.seed] * len(packs)
    if len(packs) < 2:
        return {seed: place for found in map(_write_pack, sites, numbers, packs, seeds) for seed, place in found}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_PROCESSES, mp_context=context) as pool:
        return {seed: place for found in pool.map(_write_pack, sites, numbers, packs, seeds) for seed, place in found}


def _write_pack(site: Path, number: int, rows: Sequence[PlannedRow], web_seed: int) -> list[tuple[int, Answer]]:
    cv2.setNumThreads(1)
    places = []
    offset = 0
    with pack_path(site, number).open("wb") as pack:
        for row in rows:
            body = make_body(row, web_seed)
            pack.write(body.data)
            place = Answer(
                row.host,
                row.path,
                content_type=body.content_type,
                pack=number,
                offset=offset,
                length=len(body.data),
            )
            places.append((row.row_seed, place))
            offset += len(body.data)
    return places
