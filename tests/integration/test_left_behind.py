"""What a run leaves behind of the secrets that it was given. The same on Ray: tests/faults/test_ray_of_a_run.py."""

import pytest
from planted_secrets import REGION, SECRETS, leaks
from watched_runs import finished_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with finished_run(tmp_path_factory.mktemp("here"), "--runner", "in-process") as made:
        yield made


def test_a_part_failed_with_secrets_in_its_error_when_the_run_has_ended(run):
    run.assert_failed_with_masked_errors()


def test_no_secret_is_left_behind_when_everything_is_searched(run):
    run.assert_no_secret_is_left()
    resolved = (run.out / "recipe.yaml").read_text()
    assert "http://***@127.0.0.1" in resolved
    assert f"?who=***&at={REGION}&" in resolved
    assert resolved.count("'***'") == 3
    assert "X-Amz-Signature=***" in run.said


def test_a_leak_is_found_when_there_is_one(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [SECRETS[0] * 3]}), tmp_path / "a.parquet", compression="zstd")
    (tmp_path / "b.log").write_bytes(b"\0" + SECRETS[1].encode())
    assert leaks(tmp_path) == [f"{tmp_path}/a.parquet: {SECRETS[0]}", f"{tmp_path}/b.log: {SECRETS[1]}"]


def test_no_port_is_opened_when_a_run_needs_no_ray(run):
    assert run.sockets == set()
    assert list(run.ray.iterdir()) == []
