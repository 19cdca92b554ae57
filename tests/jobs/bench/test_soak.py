import json

import pytest

from jobs.bench.faults import FAULTS
from jobs.bench.soak import main, soak


def test_shares_of_the_faults_add_up_to_a_thousand():
    assert sum(fault.share for fault in FAULTS.values()) == 1000


@pytest.mark.slow
def test_every_row_has_its_outcome_when_thousands_of_requests_meet_faults():
    result = soak(rows=6000, part_rows=6000, seed=1)
    assert (result.lost, result.wrong, result.examples) == (0, 0, [])
    assert result.outcomes == 6000
    assert result.bodies + sum(result.failed.values()) == 6000
    # The first stage of a process opens a few for good; connections left open would be hundreds.
    assert result.files_after <= result.files_before + 5
    assert len(result.failed) >= 12


def test_result_is_one_line_of_json_when_the_command_is_run(capsys: pytest.CaptureFixture[str]):
    assert main(["--rows", "60", "--part-rows", "40"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["rows"], told["outcomes"], told["flawless"]) == (60, 60, True)
