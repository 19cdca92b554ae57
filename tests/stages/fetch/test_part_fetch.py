import logging

import pytest

from curation.net.fetched import Fetched
from schemas.outcomes import FailureReason
from stages.fetch.part_fetch import LoopThread, PartFetch


class ClientWithAMistake:
    """Answers what it understands, and breaks on the rest."""

    async def fetch(self, text, gate, known=None):
        return Fetched(status=[200, 404][int(text)])

    async def close(self):
        pass


def test_row_fails_alone_when_the_client_breaks_on_it(caplog: pytest.LogCaptureFixture):
    thread = LoopThread()
    try:
        part = PartFetch(thread, ClientWithAMistake(), 4)
        wanted = [(text, None) for text in ("0", "7", "1", "8", None)]
        with caplog.at_level(logging.ERROR):
            came = dict(arrival for chunk in part.chunks(wanted, 10, 5.0) for arrival in chunk)
    finally:
        thread.stop()
    assert [(came[place].status, came[place].detail) for place in range(5)] == [
        (200, None),
        (None, "IndexError"),
        (404, None),
        (None, "IndexError"),
        (None, "TypeError"),
    ]
    assert {came[place].reason for place in (1, 3, 4)} == {FailureReason.CONNECTION_FAILED}
    assert ["IndexError" in record.exc_text for record in caplog.records] == [True, False]
