"""Where traces go: to a collector by OTLP over HTTP, or to a file of OTLP in JSON lines. Needs the extra `tracing`."""

from __future__ import annotations

import base64
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from curation.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_PORT = 4318
_TIMEOUT_S = 5
"""For a batch with all its tries: so long may the end of a run wait for a collector that is gone."""
_SCHEMES = {"otlp": "http", "otlps": "https", "http": "http", "https": "https"}


def check_destination(destination: str) -> None:
    """Whether traces can go there.

    Raises:
        RecipeError: With the remedy.
    """
    scheme, separator, _ = destination.partition("://")
    if separator and (scheme not in _SCHEMES or not urlsplit(destination).hostname):
        raise RecipeError(
            f"trace: {destination!r} is no place for traces; give otlp://HOST:{_PORT} (otlps:// for TLS), the whole "
            "URL http(s)://…/v1/traces, or the path of a file"
        )
    if separator and urlsplit(destination).username is not None:
        raise RecipeError(
            "trace: no credentials in the address, which is kept with the run; OTEL_EXPORTER_OTLP_HEADERS"
        )
    if not separator and not Path(destination).absolute().parent.is_dir():
        raise RecipeError(f"trace: there is no folder {Path(destination).absolute().parent}")
    for module in _NEEDED:
        if not _is_installed(module):
            raise RecipeError("trace: traces need OpenTelemetry: pip install -e '.[tracing]' in the project's folder")


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def make_exporter(destination: str) -> Any:
    """A span exporter of OpenTelemetry's SDK. Credentials are the exporter's business: OTEL_EXPORTER_OTLP_HEADERS."""
    if "://" not in destination:
        return OtlpFileExporter(Path(destination))
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    parts = urlsplit(destination)
    if parts.scheme in ("http", "https"):
        return OTLPSpanExporter(endpoint=destination, timeout=_TIMEOUT_S)
    port = parts.port or _PORT
    return OTLPSpanExporter(
        endpoint=f"{_SCHEMES[parts.scheme]}://{parts.hostname}:{port}/v1/traces", timeout=_TIMEOUT_S
    )


class OtlpFileExporter:
    """Appends a line for each batch: an ExportTraceServiceRequest in OTLP's JSON, as collectors read it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def export(self, spans: Sequence[Any]) -> Any:
        """Writes a line."""
        from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]
        from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
        from opentelemetry.sdk.trace.export import SpanExportResult

        document = MessageToDict(encode_spans(spans), use_integers_for_enums=True)
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(_with_hexadecimal_ids(document)) + "\n")
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Has nothing open."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Holds nothing back."""
        del timeout_millis
        return True


def _with_hexadecimal_ids(value: Any) -> Any:
    """OTLP's JSON has ids in hexadecimal, where protobuf's has base64."""
    if isinstance(value, list):
        return [_with_hexadecimal_ids(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64decode(entry).hex()
        if name in ("traceId", "spanId", "parentSpanId")
        else _with_hexadecimal_ids(entry)
        for name, entry in value.items()
    }
