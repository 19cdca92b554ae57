"""The recipe: a source, ordered steps, and how the run is cut into parts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from curation.catalogue import Step
from curation.contracts.config import Config, Tuning
from curation.contracts.sink import Sink
from curation.contracts.source import Source
from curation.masking import masked


class RunSettings(Config):
    """How the work is cut and retried."""

    part_rows: int = Field(2000, ge=1, description="Input rows of one part, the unit of work, retry and commit.")
    max_tries: Tuning[int] = Field(3, ge=1, description="Tries of a part before it is set aside (quarantined).")
    single_writer: Tuning[bool] = Field(
        False, description="Also use a store without put-if-absent: nothing else writes to the run's folder."
    )
    partition_rows: Tuning[int] = Field(
        50_000_000,
        ge=1,
        description="Rows of which copies are looked for at a time; beyond it, they are cut into hash partitions, each "
        "a task of 1 GiB on the cluster. 50 million rows take 0.9 GB.",
    )
    max_workers: Tuning[int | None] = Field(None, ge=1, description="Most workers of one stage; null: as many as fit.")
    grace_s: Tuning[float] = Field(
        20.0,
        ge=0,
        description="How long after a SIGTERM parts in work may take to be done and committed; none is begun. Leave "
        "ten seconds of what your scheduler gives; 0: everything ends at once, as at Ctrl-C.",
    )
    metrics: Tuning[bool] = Field(True, description="Count for Prometheus, by way of Ray's exporter.")
    trace: Tuning[str | None] = Field(
        None,
        description="Where traces of parts go: `otlp://HOST:4318`, the whole URL of a collector, or the path of a "
        "file on the driver's machine; null: nowhere. Needs `curation[tracing]`.",
    )
    placement: Tuning[dict[str, Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$")]]] = Field(
        {},
        description="By step, the custom resource of the nodes that its workers belong on, such as `fetch_images: "
        "fetch_node`; see [cluster.md](cluster.md#what-runs-where).",
    )


@dataclass(frozen=True)
class Recipe:
    """A recipe whose every setting was validated and whose steps were built.

    Attributes:
        origin: Where it was read from, for messages.
    """

    name: str
    source: Source
    steps: tuple[Step, ...]
    run: RunSettings
    origin: str

    @property
    def sink(self) -> Sink | None:
        """The last step, where it delivers."""
        last = self.steps[-1] if self.steps else None
        return last if isinstance(last, Sink) else None

    def resolved(self) -> dict[str, Any]:
        """The recipe with every setting spelled out, defaults included, as JSON values; secrets are masked."""
        settings = {
            "name": self.name,
            "source": _settings(self.source.config),
            "steps": [_settings(step.config) for step in self.steps],
            "run": _settings(self.run),
        }
        return dict(masked(settings))


def _settings(config: Config) -> dict[str, Any]:
    return dict(json.loads(config.model_dump_json()))
