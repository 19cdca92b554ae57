"""What polars has to be told to open files of a store by itself, as the store's own client opens them."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from fsspec.asyn import sync
from s3fs import S3FileSystem

from curation.errors import AccessError
from curation.storage.store import Store

_CREDENTIALS_S = 600
"""For so long credentials are not asked for again."""
_RETRIES = 8


def polars_access(store: Store) -> dict[str, Any]:
    """Arguments for `scan_parquet`, `read_parquet` and the sinks of polars: endpoint, region and credentials."""
    fs = None if store.is_local else store.fs
    if not isinstance(fs, S3FileSystem):
        return {}
    meta = fs.s3.meta
    options: dict[str, Any] = {"max_retries": _RETRIES}
    if meta.region_name and meta.region_name != "aws-global":
        options["aws_region"] = meta.region_name
    if "amazonaws.com" not in meta.endpoint_url:
        options["aws_endpoint_url"] = meta.endpoint_url
        options["aws_allow_http"] = str(meta.endpoint_url.startswith("http://")).lower()
    if fs.anon:
        options["aws_skip_signature"] = "true"
        return {"storage_options": options, "credential_provider": None}
    return {"storage_options": options, "credential_provider": partial(_credentials, fs)}


def _credentials(fs: Any) -> tuple[dict[str, str], int]:
    """As the store's client has them, refreshed by it where they expire."""
    if fs.key:
        found = {"aws_access_key_id": fs.key, "aws_secret_access_key": fs.secret}
        token = fs.token
    else:
        frozen = sync(fs.loop, _frozen, fs)
        found = {"aws_access_key_id": frozen.access_key, "aws_secret_access_key": frozen.secret_key}
        token = frozen.token
    if token:
        found["aws_session_token"] = token
    return found, int(time.time()) + _CREDENTIALS_S


async def _frozen(fs: Any) -> Any:
    credentials = await fs.session.get_credentials()
    if credentials is None:
        raise AccessError("no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile")
    return await credentials.get_frozen_credentials()
