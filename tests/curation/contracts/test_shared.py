import asyncio

from curation.contracts.shared import LocalLink, SharedPart, SharedSpec


class Adding(SharedPart):
    def __init__(self):
        self.total = 0

    async def answer(self, question):
        self.total += question
        return self.total


def test_all_who_ask_over_a_link_ask_the_same_part():
    link = LocalLink(SharedSpec(Adding, workers_per_copy=1))

    async def ask():
        return await asyncio.gather(*(link.ask(0, number) for number in (1, 2, 3)))

    assert sorted(asyncio.run(ask())) == [1, 3, 6]
    assert link.copies == 1


def test_parts_are_apart_when_two_links_are_made_of_one_spec():
    spec = SharedSpec(Adding, workers_per_copy=1)
    assert [asyncio.run(LocalLink(spec).ask(0, 5)) for _ in range(2)] == [5, 5]
