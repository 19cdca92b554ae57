"""What curation is worth: pairs of models, on raw and on curated data, each pair on a web of its own.

`make bench-value`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from jobs.demo import Demo
from jobs.exit_codes import ExitCode, exit_code_of

FIRST_SEED = 1
"""The demo's web has seed 0: the benchmark looks at others."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo on several seeds and prints the gains."""
    parser = argparse.ArgumentParser(prog="python -m jobs.bench.value", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/bench-value"))
    parser.add_argument("--seeds", type=int, default=3, help="how many webs, each with a training seed of its own")
    parser.add_argument("--pairs", type=int, default=3000)
    parser.add_argument("--train-steps", type=int)
    args = parser.parse_args(argv)
    return exit_code_of(lambda: _bench(args))


def _bench(args: argparse.Namespace) -> int:
    rounds = []
    for seed in range(FIRST_SEED, FIRST_SEED + args.seeds):
        summary = Demo(args.out / f"seed-{seed}", pairs=args.pairs, seed=seed).run(args.train_steps, seed)
        models = summary["models"]
        rounds.append({"seed": seed, "truth": summary["truth"], **models})
        sys.stdout.write(json.dumps(rounds[-1]) + "\n")
        sys.stdout.flush()
    gains = {
        figure: mean(done["curated"][figure] - done["raw"][figure] for done in rounds)
        for figure in ("zero_shot", "i2t_r1")
    }
    result = {
        "bench": "value",
        "seeds": args.seeds,
        "pairs": args.pairs,
        "raw": {figure: round(mean(done["raw"][figure] for done in rounds), 4) for figure in gains},
        "curated": {figure: round(mean(done["curated"][figure] for done in rounds), 4) for figure in gains},
        "gain_points": {figure: round(100 * gain, 2) for figure, gain in gains.items()},
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
