"""A store no longer lets the workers of a run in: the run ends at once, and goes on when they have the right again."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faulty_proxy import Fault, FaultyProxy
from s3_server import BUCKET, S3Server, use_server
from word_recipes import CAPTIONS, write_recipe

from curation.ledger.open_run import open_ledger, open_run
from curation.storage.store import Store
from jobs.cli import main


def refusal(status, code):
    return status, f"<Error><Code>{code}</Code><Message>not for you</Message></Error>".encode()


@pytest.fixture
def proxy(monkeypatch):
    server = S3Server()
    proxy = FaultyProxy(server.options)
    use_server(proxy, monkeypatch)
    yield proxy
    proxy.close()
    server.close()


@pytest.fixture
def recipe(proxy, tmp_path):
    """Its source lies in the store, too."""
    recipe = write_recipe(tmp_path, rows=10)
    captions = [CAPTIONS[row % 5] for row in range(10)]
    urls = [f"http://example.com/{row}.jpg" for row in range(10)]
    pq.write_table(pa.table({"url": urls, "caption": captions}), tmp_path / "list.parquet", row_group_size=5)
    Store(f"s3://{BUCKET}/source").write_bytes("list.parquet", (tmp_path / "list.parquet").read_bytes())
    recipe.write_text(recipe.read_text().replace(str(tmp_path / "list.jsonl"), f"s3://{BUCKET}/source/list.parquet"))
    return str(recipe)


@pytest.mark.slow
@pytest.mark.parametrize("code", ["AccessDenied", "ExpiredToken"])
@pytest.mark.parametrize("place", ["pool", "source"])
def test_the_run_ends_and_no_part_is_set_aside_when_a_store_refuses_a_worker(proxy, recipe, capsys, place, code):
    out = f"s3://{BUCKET}/{code}/{place}/out"
    running = []

    def meant(asked):
        # The driver has looked at the source, and has begun the run.
        running.append(asked.method == "PUT" and asked.key.endswith("run.json"))
        wanted = (
            "/out/pool/" in asked.key and asked.method == "PUT" if place == "pool" else asked.key.startswith("source/")
        )
        return sum(running) >= 2 and wanted

    proxy.fault = Fault(meant, answer=refusal(403, code))
    assert main(["run", recipe, "--out", out, "--runner", "in-process"]) == 1
    said = capsys.readouterr().err
    assert "AccessError: " in said
    assert "--secret passes variables to workers" in said
    _, record = open_run(out)
    assert [item.quarantined for item in record.items] == [()]
    proxy.fault = None
    assert main(["run", recipe, "--out", out, "--runner", "in-process"]) == 0
    assert open_ledger(out).filter(outcome="kept").collect().height == 6
