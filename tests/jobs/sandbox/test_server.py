import asyncio
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image as Pictures
from PIL import ImageOps

from jobs.sandbox.draw import draw_scene
from jobs.sandbox.scene import make_scene
from jobs.sandbox.server import ROBOTS_TXT, RunningServer, serve
from jobs.sandbox.trouble import EXPECTED, FINE, Rates, Trouble
from jobs.sandbox.web import build_web, free_port
from jobs.sandbox.web_folder import SandboxWeb


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def server(small_web: SandboxWeb) -> Iterator[RunningServer]:
    with serve(small_web.folder) as running:
        yield running


@pytest.fixture(scope="module")
def truth(small_web: SandboxWeb) -> list[dict[str, object]]:
    return pq.read_table(small_web.truth_path).to_pylist()


def _get(url: str, *, hops: bool = True, timeout_s: float = 30.0) -> Reply:
    async def get() -> Reply:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=hops, max_redirects=5) as response,
        ):
            return Reply(response.status, dict(response.headers), await response.read())

    return asyncio.run(get())


def _urls(truth: list[dict[str, object]], trouble: Trouble) -> list[str]:
    found = [str(row["url"]) for row in truth if row["trouble"] == trouble.value]
    assert len(found) >= 2
    return found


@pytest.mark.parametrize(
    ("trouble", "status"), [(Trouble.NOT_FOUND, 404), (Trouble.FORBIDDEN, 403), (Trouble.GONE, 410)]
)
def test_status_is_an_error_when_picture_is_away(
    server: RunningServer, truth: list[dict[str, object]], trouble: Trouble, status: int
) -> None:
    assert [_get(url).status for url in _urls(truth, trouble)] == [status] * len(_urls(truth, trouble))


def test_picture_comes_when_errors_have_healed(server: RunningServer, truth: list[dict[str, object]]) -> None:
    for url in _urls(truth, Trouble.HEALS):
        statuses = [_get(url).status for _ in range(4)]
        assert statuses in ([500, 200, 200, 200], [500, 500, 200, 200])


def test_picture_comes_when_client_has_waited(server: RunningServer, truth: list[dict[str, object]]) -> None:
    for url in _urls(truth, Trouble.TOO_MANY_REQUESTS):
        first, second = _get(url), _get(url)
        assert (first.status, first.headers["Retry-After"]) == (429, "1")
        assert second.status == 200


def test_connection_is_reset_when_asked_for(server: RunningServer, truth: list[dict[str, object]]) -> None:
    for url in _urls(truth, Trouble.RESET):
        with pytest.raises(aiohttp.ClientOSError, match="reset"):
            _get(url)


def test_body_never_ends_when_it_trickles(server: RunningServer, truth: list[dict[str, object]]) -> None:
    with pytest.raises(TimeoutError):
        _get(_urls(truth, Trouble.TRICKLE)[0], timeout_s=1.0)


def test_bytes_keep_coming_when_body_trickles(server: RunningServer, truth: list[dict[str, object]]) -> None:
    async def chunks() -> list[bytes]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(_urls(truth, Trouble.TRICKLE)[0]) as response,
        ):
            return [await response.content.readany() for _ in range(4)]

    assert all(1 <= len(chunk) <= 4 for chunk in asyncio.run(chunks()))


def test_connection_ends_early_when_body_is_short(server: RunningServer, truth: list[dict[str, object]]) -> None:
    for url in _urls(truth, Trouble.SHORT_BODY):
        with pytest.raises(aiohttp.ClientPayloadError):
            _get(url)


def test_type_is_wrong_when_html_and_jpeg_are_swapped(server: RunningServer, truth: list[dict[str, object]]) -> None:
    page, picture = _get(_urls(truth, Trouble.HTML_AS_JPEG)[0]), _get(_urls(truth, Trouble.JPEG_AS_HTML)[0])
    assert page.headers["Content-Type"] == "image/jpeg"
    assert page.body.startswith(b"<!DOCTYPE html>")
    assert picture.headers["Content-Type"].startswith("text/html")
    assert picture.body.startswith(b"\xff\xd8")


def test_one_hop_leads_to_the_picture_when_redirected(server: RunningServer, truth: list[dict[str, object]]) -> None:
    for url in _urls(truth, Trouble.REDIRECT_ONE_HOP):
        hop = _get(url, hops=False)
        assert hop.status in (301, 302, 303, 307, 308)
        target = _get(hop.headers["Location"], hops=False)
        assert target.status == 200
        assert target.headers["Content-Type"].startswith("image/")


def test_redirects_go_round_when_looped(server: RunningServer, truth: list[dict[str, object]]) -> None:
    for url in _urls(truth, Trouble.REDIRECT_LOOP):
        with pytest.raises(aiohttp.TooManyRedirects):
            _get(url)


def test_redirect_leads_inside_when_private(server: RunningServer, truth: list[dict[str, object]]) -> None:
    for url in _urls(truth, Trouble.REDIRECT_PRIVATE):
        location = _get(url, hops=False).headers["Location"]
        assert urlsplit(location).hostname in ("10.0.0.7", "169.254.169.254", "192.168.1.1", "172.16.4.2")


def test_owner_opts_out_when_noai_or_robots(server: RunningServer, truth: list[dict[str, object]]) -> None:
    for url in _urls(truth, Trouble.NOAI):
        assert "noai" in _get(url).headers["X-Robots-Tag"].lower()
    for url in _urls(truth, Trouble.ROBOTS):
        parts = urlsplit(url)
        assert parts.path.startswith("/private/")
        assert _get(f"{parts.scheme}://{parts.netloc}/robots.txt").body.decode() == ROBOTS_TXT


def test_size_is_the_trouble_when_one_pixel_banner_or_bomb(
    server: RunningServer, truth: list[dict[str, object]]
) -> None:
    sizes = {}
    for trouble in (Trouble.ONE_PIXEL, Trouble.BANNER):
        with Pictures.open(io.BytesIO(_get(_urls(truth, trouble)[0]).body)) as picture:
            sizes[trouble] = picture.size
    assert sizes[Trouble.ONE_PIXEL] == (1, 1)
    assert sizes[Trouble.BANNER][0] == 20 * sizes[Trouble.BANNER][1] >= 2560
    header = _get(_urls(truth, Trouble.BOMB)[0]).body[16:24]
    assert header == (30_000).to_bytes(4, "big") * 2


def test_files_do_not_decode_when_truncated_or_corrupt(server: RunningServer, truth: list[dict[str, object]]) -> None:
    for url in _urls(truth, Trouble.TRUNCATED) + _urls(truth, Trouble.CORRUPT):
        with pytest.raises(OSError), Pictures.open(io.BytesIO(_get(url).body)) as picture:  # noqa: PT011
            picture.load()


def test_scene_is_shown_when_the_trouble_is_only_the_format(
    server: RunningServer, truth: list[dict[str, object]]
) -> None:
    apart = {Trouble.HEALS, Trouble.TOO_MANY_REQUESTS}
    fine = [kind for kind in Trouble if EXPECTED[kind] == FINE and kind not in apart]
    for kind in fine:
        for row in [row for row in truth if row["trouble"] == kind.value and row["copy_kind"] == "none"][:2]:
            with Pictures.open(io.BytesIO(_get(str(row["url"])).body)) as picture:
                shown = np.asarray(ImageOps.exif_transpose(picture).convert("RGB")).astype(int)
            expected = draw_scene(make_scene(int(str(row["scene_seed"]))), shown.shape[1], shown.shape[0])
            assert np.abs(shown - expected).mean() < 5, kind


def test_bytes_are_equal_when_copies_are_exact(server: RunningServer, truth: list[dict[str, object]]) -> None:
    originals = {row["group"]: str(row["url"]) for row in truth if row["is_original"]}
    for row in [row for row in truth if row["copy_kind"] == "exact"][:5]:
        assert _get(str(row["url"])).body == _get(originals[row["group"]]).body


def test_requests_are_counted_when_stats_are_asked_for(server: RunningServer, truth: list[dict[str, object]]) -> None:
    url = next(str(row["url"]) for row in truth if row["copy_kind"] == "none" and row["trouble"] == "none")
    path = urlsplit(url).path
    before = server.stats()
    logged = server.web.request_log_path.read_text().splitlines().count(path)
    for _ in range(3):
        _get(url)
    after = server.stats()
    assert after["requests"] == before["requests"] + 3
    assert after["by_path"][path] == before["by_path"].get(path, 0) + 3
    assert server.web.request_log_path.read_text().splitlines().count(path) == logged + 3


def test_status_is_404_when_nobody_planned_the_path(server: RunningServer) -> None:
    assert _get(f"http://{server.web.hosts[0]}:{server.web.port}/nothing").status == 404


def test_many_requests_are_answered_when_they_come_at_once(server: RunningServer) -> None:
    url = f"http://{server.web.hosts[0]}:{server.web.port}/robots.txt"

    async def ask(count: int) -> None:
        async with aiohttp.ClientSession() as session:

            async def one() -> int:
                async with session.get(url) as response:
                    await response.read()
                    return response.status

            assert set(await asyncio.gather(*[one() for _ in range(count)])) == {200}

    before = server.stats()["by_path"].get("/robots.txt", 0)
    asyncio.run(ask(1000))
    assert server.stats()["by_path"]["/robots.txt"] == before + 1000


def test_server_heals_anew_and_log_goes_on_when_started_again(small_web: SandboxWeb, tmp_path: Path) -> None:
    rates = Rates(captions={}, copies={}, troubles={Trouble.HEALS: 0.5})
    web = build_web(tmp_path, pairs=4, seed=1, port=free_port(small_web.port + 1), rates=rates)
    url = next(row["url"] for row in pq.read_table(web.truth_path).to_pylist() if row["trouble"] == "heals")
    for _ in range(2):
        with serve(tmp_path) as running:
            assert _get(url).status == 500
            assert running.stats()["requests"] == 1
    assert len(web.request_log_path.read_text().splitlines()) == 2


def test_error_names_the_port_when_it_is_taken(server: RunningServer) -> None:
    with pytest.raises(RuntimeError, match=str(server.web.port)), serve(server.web.folder):
        pass


def test_error_is_raised_when_folder_holds_no_web(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no complete sandbox web"), serve(tmp_path):
        pass
