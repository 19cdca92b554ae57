"""What a recipe may name: the kinds of sources, stages, exchanges and sinks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from curation.contracts.exchange import Exchange
from curation.contracts.sink import Sink
from curation.contracts.source import Source
from curation.contracts.stage import Stage

Step = Stage | Exchange | Sink
StepClass = type[Stage] | type[Exchange] | type[Sink]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The classes by kind. The engine is handed one and knows no particular stage."""

    sources: Mapping[str, type[Source]]
    stages: Mapping[str, type[Stage]]
    exchanges: Mapping[str, type[Exchange]]
    sinks: Mapping[str, type[Sink]]

    @property
    def steps(self) -> dict[str, StepClass]:
        """Every kind that may stand in `steps`."""
        return {**self.stages, **self.exchanges, **self.sinks}
