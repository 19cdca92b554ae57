import base64
import importlib.util
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError
from raw_web import RawWeb

from curation.errors import RecipeError
from schemas.columns import schema_of
from stages.fetch.images import FetchImages, FetchImagesConfig

BODY = b"some bytes"


def fetched(urls: list[str | None], **settings: object) -> pa.Table:
    fields = schema_of("row", "key", "url")
    columns = [range(len(urls)), [f"k{place}" for place in range(len(urls))], urls]
    table = pa.table([pa.array(*pair) for pair in zip(columns, fields.types, strict=True)], schema=fields)
    reach = {"allow_public": False, "allow_networks": ("127.0.0.0/8",), "allow_ports": None}
    stage = FetchImages(FetchImagesConfig(**reach, robots=False, **settings))
    stage.check()
    stage.setup()
    try:
        return stage.process(table)
    finally:
        stage.close()


def test_web_data_and_files_are_read_side_by_side_when_the_recipe_allows_them(web: RawWeb, tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(BODY)
    urls = [
        web.on("/a", body=BODY),
        "data:image/png;base64," + base64.b64encode(BODY).decode(),
        (tmp_path / "a.jpg").as_uri(),
        "memory://missing",
    ]
    schemes = ("http", "data", "file", "memory")
    done = fetched(urls, allow_schemes=schemes, allow_folders=(str(tmp_path),))
    assert done["body"].to_pylist() == [BODY, BODY, BODY, None]
    assert done["reason"].to_pylist() == [None, None, None, "reference_not_found"]
    assert done["http_status"].to_pylist() == [200, None, None, None]
    assert done["final_url"].to_pylist() == [urls[0], None, urls[2], None]
    assert len(set(done["sha256"].to_pylist()[:3])) == 1
    assert done["body_bytes"].to_pylist() == [10, 10, 10, None]


def test_local_files_are_out_of_reach_when_the_recipe_says_nothing(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(BODY)
    done = fetched([(tmp_path / "a.jpg").as_uri(), "s3://bucket/key", "FILE:/etc/passwd", "data:,x"])
    assert done["reason"].to_pylist() == ["unsupported_scheme"] * 3 + [None]
    assert done["detail"].to_pylist() == [f"{scheme}: not in `allow_schemes`" for scheme in ("file", "s3", "file")] + [
        None
    ]


def test_a_redirect_leads_to_no_file_when_files_are_allowed(web: RawWeb, tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(BODY)
    url = web.redirect("/r", (tmp_path / "a.jpg").as_uri())
    done = fetched([url], allow_schemes=("http", "file"), allow_folders=(str(tmp_path),))
    assert done["reason"].to_pylist() == ["unsupported_scheme"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"allow_schemes": ()}, "at least 1"),
        ({"allow_schemes": ("s4",)}, "did you mean s3"),
        ({"allow_schemes": ("simplecache",)}, "other file systems"),
        ({"allow_schemes": ("file",)}, "needs folders"),
        ({"allow_folders": ("/a",)}, "needs folders"),
        ({"allow_schemes": ("file",), "allow_folders": ("a",)}, "must be absolute"),
        ({"storage_options": {"s3": {}}}, "none of the stores"),
        ({"storage_options": {"http": {}}}, "none of the stores"),
    ],
)
def test_config_is_refused_when_its_schemes_make_no_sense(settings: dict[str, object], words: str):
    with pytest.raises(ValidationError, match=words):
        FetchImagesConfig(**settings)


def test_check_names_what_is_missing_when_a_scheme_cannot_be_read(tmp_path: Path):
    folder = str(tmp_path / "missing")
    config = FetchImagesConfig(allow_schemes=("file",), allow_folders=(folder,))
    with pytest.raises(RecipeError, match="there is no folder"):
        FetchImages(config).check()
    if importlib.util.find_spec("adlfs") is None:
        with pytest.raises(RecipeError, match="pip install adlfs"):
            FetchImages(FetchImagesConfig(allow_schemes=("az",))).check()
