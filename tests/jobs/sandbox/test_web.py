import hashlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.sandbox.scene import make_scene
from jobs.sandbox.trouble import CaptionKind, CopyKind, Rates, Trouble
from jobs.sandbox.web import PAIRS_SCHEMA, TRUTH_SCHEMA, build_web
from jobs.sandbox.web_folder import SandboxWeb, open_web

FEW = Rates(
    captions={CaptionKind.MISMATCHED: 0.2},
    copies={CopyKind.EXACT: 0.1, CopyKind.RESCALED: 0.1},
    troubles={Trouble.NOT_FOUND: 0.1, Trouble.REDIRECT_ONE_HOP: 0.1},
)


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_tables_have_their_schemas_and_one_order_when_built(small_web: SandboxWeb) -> None:
    pairs, truth = pq.read_table(small_web.pairs_path), pq.read_table(small_web.truth_path)
    assert pairs.schema.equals(PAIRS_SCHEMA)
    assert truth.schema.equals(TRUTH_SCHEMA)
    assert pairs.num_rows == truth.num_rows == small_web.pairs == 300
    assert pairs["url"].equals(truth["url"])
    assert pairs["caption"].equals(truth["caption"])


def test_truth_states_what_the_scene_shows_when_built(small_web: SandboxWeb) -> None:
    for row in pq.read_table(small_web.truth_path).to_pylist():
        shown = [(entry["colour"], entry["shape"]) for entry in row["objects"]]
        assert shown == [item.pair for item in make_scene(row["scene_seed"]).objects]


def test_web_has_the_same_bytes_when_built_elsewhere(tmp_path: Path) -> None:
    for name in ("a", "b"):
        build_web(tmp_path / name, pairs=40, seed=2, port=18_099, rates=FEW)
    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")


def test_web_is_reused_when_arguments_are_the_same(tmp_path: Path) -> None:
    web = build_web(tmp_path, pairs=20, seed=2, port=18_099, rates=FEW)
    written = web.pairs_path.stat().st_mtime_ns
    assert build_web(tmp_path, pairs=20, seed=2, port=18_099, rates=FEW) == web == open_web(tmp_path)
    assert web.pairs_path.stat().st_mtime_ns == written


def test_web_is_replaced_when_arguments_differ_or_it_is_unfinished(tmp_path: Path) -> None:
    build_web(tmp_path, pairs=20, seed=2, port=18_099, rates=FEW)
    web = build_web(tmp_path, pairs=30, seed=2, port=18_099, rates=FEW)
    assert pq.read_table(web.pairs_path).num_rows == 30
    (tmp_path / "web.json").unlink()
    with pytest.raises(FileNotFoundError, match="no complete sandbox web"):
        open_web(tmp_path)
    web.truth_path.write_bytes(b"half")
    build_web(tmp_path, pairs=30, seed=2, port=18_099, rates=FEW)
    assert pq.read_table(web.truth_path).num_rows == 30


def test_captions_do_not_change_when_only_the_port_does(tmp_path: Path) -> None:
    tables = [
        pq.read_table(build_web(tmp_path / str(port), pairs=20, seed=2, port=port, rates=FEW).pairs_path)
        for port in (18_098, 18_099)
    ]
    assert tables[0]["caption"].equals(tables[1]["caption"])
    assert not tables[0]["url"].equals(tables[1]["url"])
