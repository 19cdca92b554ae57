import os
import random
from collections import deque

import pytest

from curation.images.shared_bodies import SeenBodies, SharedBodies


@pytest.fixture
def ends():
    shared = SharedBodies()
    yield shared, SeenBodies(shared.fd)
    shared.close()


def test_bodies_are_read_as_they_were_put_when_lengths_differ(ends):
    shared, seen = ends
    chance, waiting, read = random.Random(5), deque(), 0
    for _ in range(3000):
        body = chance.randbytes(chance.choice((0, 1, 1000, 300_000, 1_500_000))) if chance.random() < 0.6 else None
        begin = None if body is None else shared.put(memoryview(body))
        if begin is not None:
            waiting.append((begin, body))
        elif waiting:
            begin, body = waiting.popleft()
            assert seen.read(begin, len(body)) == body
            shared.done()
            read += 1
    assert read > 500


def test_there_is_no_room_when_bodies_that_wait_fill_the_memory(ends):
    shared, _ = ends
    body = memoryview(bytes(1_500_000))
    places = [shared.put(body) for _ in range(3)]
    assert places[2] is None
    shared.done()
    assert shared.put(body) == places[0] or shared.put(memoryview(bytes(1_000_000))) is not None


def test_a_body_of_any_size_finds_room_when_no_other_waits(ends):
    shared, seen = ends
    for length in (30_000_000, 10, 60_000_000):
        body = os.urandom(1000) * (length // 1000) + b"end"
        begin = shared.put(memoryview(body))
        assert seen.read(begin, len(body)) == body
        shared.done()
    shared.put(memoryview(b"small"))
    # What the large ones took has gone back.
    assert os.fstat(shared.fd).st_blocks * 512 < 6_000_000


def test_the_memory_cannot_be_pulled_away_when_the_other_side_tries(ends):
    shared, _ = ends
    with pytest.raises(PermissionError):
        os.truncate(shared.fd, 0)


def test_progress_is_seen_when_it_was_noted(ends):
    shared, seen = ends
    assert shared.progress == (0, 0.0)
    seen.note_progress(7, 12.5)
    assert shared.progress == (7, 12.5)
