"""Parts of URLs for the fetching stage, and operators that fetch them on several workers."""

import pyarrow as pa

from curation.contracts.resources import ONE_CPU
from curation.engine.operator import Handover, Operator
from schemas.columns import schema_of
from schemas.records import UnitReport
from stages.fetch.images import FetchImages, FetchImagesConfig

OPEN = {"allow_public": False, "allow_networks": ("127.0.0.0/8",), "allow_ports": None, "robots": False}


def part_of(urls, first=0):
    columns = {"row": range(first, first + len(urls)), "key": [f"k{place}" for place in range(len(urls))], "url": urls}
    fields = schema_of("row", "key", "url")
    return pa.table([pa.array(columns[field.name], field.type) for field in fields], schema=fields)


class FetchOperator(Operator):
    """Unit n is the n-th slice of the URLs. Reports how many bodies came, and what the others failed for."""

    name = "fetch"
    resources = ONE_CPU

    def __init__(self, urls, per_unit, **settings):
        self._stage = FetchImages(FetchImagesConfig(**{**OPEN, **settings}))
        self._urls = urls
        self._per_unit = per_unit

    @property
    def shared(self):
        return {"fetch": self._stage.shared}

    def connect(self, links):
        if "fetch" in links:
            self._stage.connect(links["fetch"])

    def setup(self):
        self._stage.setup()

    def close(self):
        self._stage.close()

    def run(self, unit, table):
        urls = self._urls[unit * self._per_unit : (unit + 1) * self._per_unit]
        done = self._stage.process(part_of(urls))
        failed = {}
        for reason in done["reason"].drop_null().to_pylist() if "reason" in done.column_names else []:
            failed[reason] = failed.get(reason, 0) + 1
        kept = done["body"].length() - done["body"].null_count
        return Handover(report=UnitReport(unit=unit, rows_in=len(urls), kept=kept, failed=failed))
