# Everything a newcomer, a developer and CI need. `make demo` and `make test` install what they use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PEER := $(VENV)-img2dataset
# Whose downloader some tests run. Another Python that has img2dataset may be named; empty, these tests are left out.
IMG2DATASET_PYTHON ?= $(abspath $(PEER))/bin/python
PEER_FOR_TESTS := $(if $(filter $(abspath $(PEER))/bin/python,$(IMG2DATASET_PYTHON)),$(PEER)/.installed)
# Many tests wait for servers that are slow on purpose, so more of them run at a time than there are processors.
TEST_PROCESSES ?= 3
# One has the tests on a Ray that they share, one those that start a Ray of their own, one the others. Ray mostly waits.
FAULT_PROCESSES ?= 3
DUCKDB := $(VENV)-duckdb
DEDUPE_PEER := $(VENV)-imagededup

.PHONY: install demo test test-s3 test-faults test-cluster check audit fmt sandbox-models bench-value bench-fetch bench-latency soak-fetch \
	bench-dedupe bench-select bench-balance bench-semantic bench-texts bench-whatif bench-engine bench-scaling constraints clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' constraints.txt)"
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: install ## the whole way on a generated web, checked against its truth
	$(BIN)/curation demo --out runs/demo $(DEMO_ARGS)

test: install $(PEER_FOR_TESTS) ## all but what the targets below run
	IMG2DATASET_PYTHON=$(IMG2DATASET_PYTHON) $(BIN)/python -m pytest --ignore tests/faults --ignore tests/s3 \
		--ignore tests/cluster --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder $(TEST_ARGS)

test-s3: install ## whole runs against a real object store: Ceph, from Debian's packages
	tests/s3/install_ceph.sh
	$(BIN)/python -m pytest tests/s3 $(TEST_ARGS)

test-faults: install ## what kills, breaks and lies: workers, nodes, drivers, disks, stores; minutes
	$(BIN)/python -m pytest tests/faults --numprocesses $(FAULT_PROCESSES) --dist loadfile --no-loadscope-reorder --timeout 600 \
		--durations 10 $(TEST_ARGS)

test-cluster: install ## submitted jobs on a real cluster of several nodes on this machine: some minutes
	$(BIN)/python -m pytest tests/cluster --numprocesses 2 --dist loadfile --no-loadscope-reorder $(TEST_ARGS)

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m jobs.audit

audit: install ## whether a pinned package has a known vulnerability; AUDIT_ARGS=--require-answer fails if nobody can be asked
	$(BIN)/python -m jobs.audit $(AUDIT_ARGS)

fmt: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

sandbox-models: install ## trains the embedded models anew: up to 90 minutes on 2 cores
	$(BIN)/python -m jobs.sandbox.make_models --out curation/models/embedded

bench-value: install ## what curation is worth: three pairs of models, raw against curated
	$(BIN)/python -m jobs.bench.value $(BENCH_ARGS)

bench-whatif: install ## what asking for other settings, comparing and removing cost on a generated million rows
	$(BIN)/python -m jobs.bench.whatif $(BENCH_ARGS)

soak-fetch: install ## 100,000 requests to a server that does everything wrong: no row may be lost
	$(BIN)/python -m jobs.bench.soak $(BENCH_ARGS)

bench-fetch: install $(PEER)/.installed ## fetching and decoding against img2dataset, over nginx: about 10 minutes
	$(BIN)/python -m jobs.bench.fetch --img2dataset $(PEER)/bin/img2dataset $(BENCH_ARGS)

bench-engine: install ## no-op stages by the part, fetching and encoding against a bare loop, the start
	$(BIN)/python -m jobs.bench.engine $(BENCH_ARGS)

bench-scaling: install ## what a billion pairs come to: sizes, requests and driver load, from counts on small runs
	$(BIN)/python -m jobs.bench.scaling $(BENCH_ARGS)

bench-latency: install ## what slow hosts and dead URLs cost
	$(BIN)/python -m jobs.bench.latency $(BENCH_ARGS)

bench-select: install $(DUCKDB)/.installed ## 100,000,000 rows of ten columns against DuckDB: 4 GB of disk
	$(BIN)/python -m jobs.bench.selection --duckdb $(DUCKDB)/bin/python $(BENCH_ARGS)

bench-balance: install ## 1,000,000 captions by 500,000 entries, against the plain loop
	$(BIN)/python -m jobs.bench.balance $(BENCH_ARGS)

$(DUCKDB)/.installed: constraints.txt | install
	test -x $(DUCKDB)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(DUCKDB)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(DUCKDB)/bin/python --constraint constraints.txt duckdb
	touch $@

bench-dedupe: install $(DEDUPE_PEER)/.installed ## finding copies: 20 million rows, a million hashes, beside faiss and imagededup
	$(BIN)/python -m jobs.bench.dedupe --imagededup $(DEDUPE_PEER)/bin/python $(BENCH_ARGS)

# Only its search of hashes is measured, which needs none of the networks that it depends on.
$(DEDUPE_PEER)/.installed: constraints.txt | install
	test -x $(DEDUPE_PEER)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(DEDUPE_PEER)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(DEDUPE_PEER)/bin/python --no-deps imagededup==0.3.3.post2
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(DEDUPE_PEER)/bin/python --constraint constraints.txt \
		numpy scikit-learn tqdm matplotlib pillow torch torchvision
	touch $@

bench-semantic: install ## semantic duplicates among 500,000 embeddings, against SemDeDup's plain algorithm
	$(BIN)/python -m jobs.bench.semantic $(BENCH_ARGS)

bench-texts: install ## near-copies and rare words among 10,000,000 captions, against plain loops
	$(BIN)/python -m jobs.bench.texts $(BENCH_ARGS)

# In an environment of its own, as its users have it: beside Ray it imports Ray in each of its processes.
$(PEER)/.installed: constraints.txt | install
	test -x $(PEER)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(PEER)
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(PEER)/bin/python --constraint constraints.txt img2dataset
	touch $@

constraints: ## pins every package that any extra needs, by name and version alone
	{ grep '^uv==' constraints.txt; $(BIN)/uv pip compile --quiet --upgrade --no-annotate --no-header --all-extras \
		pyproject.toml | sed 's/ ;.*//' | grep '=='; } | sort > constraints.new && mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) $(PEER) $(DUCKDB) $(DEDUPE_PEER) runs .pytest_cache .mypy_cache .ruff_cache
