"""Names of files and folders."""

from curation.storage.layout import (
    DecisionLayout,
    PhaseLayout,
    UnitsLayout,
    committed_units,
    record_numbers,
    revisit_end_path,
    revisit_path,
    unit_name,
)


def test_names_sort_as_numbers_do_when_there_are_many():
    names = [unit_name(unit) for unit in (0, 9, 10, 99_999_999)]
    assert names == sorted(names) == ["00000000", "00000009", "00000010", "99999999"]


def test_units_come_back_when_commits_are_listed():
    layout = UnitsLayout("shards", "ab")
    listed = [layout.commit(unit).rsplit("/", 1)[-1] for unit in (0, 7, 12345678)]
    assert committed_units([*listed, "data", "notes.txt"]) == {0, 7, 12345678}


def test_two_scopes_share_data_and_no_commit_when_they_measure_the_same():
    one, other = PhaseLayout("fetch", "m1", "s1"), PhaseLayout("fetch", "m1", "s2")
    assert one.folder == other.folder
    assert one.commit(3) != other.commit(3)
    assert one.data(3, "a") == other.data(3, "a")


def test_nothing_but_shards_lies_in_the_folder_of_shards_when_committed():
    layout = UnitsLayout("shards", "ab")
    assert not layout.commit(0).startswith(f"{layout.folder}/")
    assert DecisionLayout("select", "ab").commit == "decisions/select-ab/commit.json"


def test_numbers_come_back_once_when_revisits_are_listed():
    listed = [
        path.rsplit("/", 1)[-1] for number in (10, 9) for path in (revisit_path(number), revisit_end_path(number))
    ]
    assert record_numbers(listed) == [9, 10]
