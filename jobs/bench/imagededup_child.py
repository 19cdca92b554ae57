"""Finds near hashes with imagededup, in the environment in which that is installed; imports nothing of this project."""

from __future__ import annotations

import json
import sys
import time

from imagededup.handlers.search.retrieval import HashEval

if __name__ == "__main__":
    # Names of hashes to 16 hexadecimal digits each, the bits in which near ones differ at most, and the processes.
    given = json.load(sys.stdin)
    begin = time.perf_counter()
    found = HashEval(
        given["hashes"],
        given["hashes"],
        None,
        verbose=False,
        threshold=given["max_distance"],
        num_dist_workers=given["processes"],
    ).retrieve_results()
    seconds = time.perf_counter() - begin
    sys.stdout.write(json.dumps({"s": seconds, "pairs": sum(len(near) for near in found.values()) // 2}) + "\n")
