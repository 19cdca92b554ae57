import hashlib

import pyarrow as pa

from curation.contracts.stage import earlier_name
from curation.net.fetched import Fetched, Timing, Validators
from schemas.columns import schema_of
from schemas.outcomes import FailureReason
from stages.fetch.record import ADDS, PartRecord

NOTHING: dict[str, str | None] = {"sha256": None, "md5": None}
URL = "http://h.example/a"


def _table(urls: list[str | None], **columns: list[str | None]) -> pa.Table:
    values = {"row": list(range(len(urls))), "key": [f"k{place}" for place in range(len(urls))], "url": urls}
    return pa.table(values | columns)


def _earlier(**columns: list[str | None]) -> dict[str, list[str | None]]:
    return {earlier_name(name): values for name, values in columns.items()}


def _body(data: bytes) -> Fetched:
    return Fetched(body=data, status=200, final_url=URL, attempts=1)


def test_every_column_is_filled_when_a_body_came():
    fetched = Fetched(
        body=b"abc",
        status=200,
        final_url="http://h.example/c",
        redirect_chain=[URL, "http://h.example/b"],
        content_type="image/png",
        etag='W/"1"',
        last_modified="Sun, 01 Jan 2023 00:00:00 GMT",
        attempts=3,
        seconds=1.5,
        timing=Timing(dns=0.25, connect=0.125, first_byte=0.5, body=1.0),
    )
    done = PartRecord(_table([URL]), NOTHING).rows([(0, fetched)])
    assert done.select(list(ADDS)).schema == schema_of(*ADDS)
    assert done.select(list(ADDS)).to_pylist() == [
        {
            "body": b"abc",
            "sha256": hashlib.sha256(b"abc").hexdigest(),
            "http_status": 200,
            "final_url": "http://h.example/c",
            "redirects": 2,
            "redirect_chain": [URL, "http://h.example/b"],
            "content_type": "image/png",
            "body_bytes": 3,
            "etag": 'W/"1"',
            "last_modified": "Sun, 01 Jan 2023 00:00:00 GMT",
            "fetch_attempts": 3,
            "fetch_s": 1.5,
            "dns_s": 0.25,
            "connect_s": 0.125,
            "first_byte_s": 0.5,
            "body_s": 1.0,
        }
    ]
    assert done["outcome"].to_pylist() == [None]


def test_measured_columns_are_null_when_no_response_came():
    done = PartRecord(_table([URL]), NOTHING).rows([(0, Fetched(reason=FailureReason.DNS_NOT_FOUND, attempts=1))])
    measured = {name: value for name, value in done.to_pylist()[0].items() if name in ADDS and value is not None}
    assert measured == {"fetch_attempts": 1, "fetch_s": 0.0}
    assert done["reason"].to_pylist() == ["dns_not_found"]


def test_url_is_wanted_once_when_several_rows_have_it_and_not_when_they_know_different_versions():
    urls = [URL, None, URL, URL, URL]
    earlier = _earlier(
        final_url=[URL, None, URL, URL, None],
        etag=['"1"', None, '"1"', '"2"', '"3"'],
        last_modified=[None] * 5,
        sha256=["x", None, "x", "y", "z"],
    )
    record = PartRecord(_table(urls, **earlier), NOTHING)
    assert record.wanted == [
        (URL, Validators(URL, '"1"')),
        (None, None),
        (URL, Validators(URL, '"2"')),
        (URL, None),
    ]
    done = record.rows([(2, _body(b"b")), (0, _body(b"a"))])
    assert done["row"].to_pylist() == [3, 0, 2]
    assert done["body"].to_pylist() == [b"b", b"a", b"a"]


def test_row_is_unchanged_when_the_server_or_the_hash_says_so():
    old, new = hashlib.sha256(b"old").hexdigest(), hashlib.sha256(b"new").hexdigest()
    earlier = _earlier(final_url=[URL] * 4, etag=['"1"', None, None, None], last_modified=[None] * 4)
    earlier |= _earlier(sha256=[old, old, old, None])
    record = PartRecord(_table([f"{URL}{place}" for place in range(4)], **earlier), NOTHING)
    not_modified = Fetched(status=304, final_url=URL, unchanged=True, attempts=1)
    done = record.rows([(0, not_modified), (1, _body(b"old")), (2, _body(b"new")), (3, _body(b"new"))])
    assert done["outcome"].to_pylist() == ["unchanged", "unchanged", None, None]
    assert done["body"].to_pylist() == [None, None, b"new", b"new"]
    assert done["sha256"].to_pylist() == [None, old, new, new]


def test_row_fails_and_lets_go_of_the_body_when_its_hash_is_another():
    table = _table([URL, URL], wanted=[hashlib.sha256(b"abc").hexdigest(), "00" * 32])
    done = PartRecord(table, {"sha256": "wanted", "md5": None}).rows([(0, _body(b"abc"))])
    assert done["reason"].to_pylist() == [None, "hash_mismatch"]
    assert done["body"].to_pylist() == [b"abc", None]
    assert done["body_bytes"].to_pylist() == [3, 3]
