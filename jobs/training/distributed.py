"""Trains with several processes by Ray Train; the only file here that knows Ray."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from curation.errors import RecipeError, TransientError
from jobs.shard_folders import is_url
from jobs.training.config import TrainConfig
from jobs.training.loop import TrainResult, claim_folder, run_loop
from jobs.training.streams import list_shards

_RESULT = "result.json"
"""The result travels as a file: Ray keeps what a worker reports only with a checkpoint of its own."""


def train_distributed(
    shards: str | Path | Sequence[str | Path],
    out: Path,
    config: TrainConfig,
    *,
    workers: int,
    cpus_per_worker: float = 1.0,
    use_gpu: bool = False,
    secrets: Sequence[str] = (),
) -> TrainResult:
    """Trains as `train` does, in several processes that share out the streams of shards.

    The batches are those of one process with the same configuration; only the sums over them are
    taken in another order, and batch norms see each process's share alone. Joins the cluster at
    RAY_ADDRESS; where none is named, starts a Ray that nobody else reaches. All nodes have to see
    `shards` and `out` under the same paths.

    Args:
        shards: see `train`.
        out: see `train`.
        config: `data.streams` has to be a multiple of `workers`.
        workers: how many processes.
        cpus_per_worker: CPUs to reserve for each.
        use_gpu: one GPU for each.
        secrets: names of environment variables that each gets, too.

    Raises:
        RecipeError: if streams or batch cannot be shared out, or as `train` does.
        TransientError: if a process died and Ray Train gave up.
    """
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    if config.data.streams % workers:
        raise RecipeError(f"data.streams is {config.data.streams}: {workers} processes need a multiple of {workers}")
    found = [path if is_url(path) else str(Path(path).absolute()) for path in list_shards(shards)]
    out = out.absolute()
    claim_folder(out, config)
    _join_or_start_ray()
    job = {"shards": found, "out": str(out), "config": config.model_dump(mode="json"), "lender": _lender(secrets)}
    trainer = TorchTrainer(
        _work,
        train_loop_config=job,
        scaling_config=ScalingConfig(
            num_workers=workers, use_gpu=use_gpu, resources_per_worker={"CPU": cpus_per_worker}
        ),
        torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo"),
        run_config=RunConfig(name="ray", storage_path=str(out)),
    )
    return _fit(trainer, out)


def _join_or_start_ray() -> None:
    """Ray Train by itself would start a Ray that listens on every interface, or join one that it finds."""
    import ray

    from curation.runtime.on_ray.start import join_or_start_ray

    if not ray.is_initialized():
        join_or_start_ray(None, log_to_driver=True)


def _fit(trainer: Any, out: Path) -> TrainResult:
    (out / _RESULT).unlink(missing_ok=True)
    try:
        trainer.fit()
    except Exception as error:
        raise TransientError(f"training in {out} stopped: {error}; run it again to go on") from error
    return _result_in(out)


def _lender(secrets: Sequence[str]) -> Any:
    if not secrets:
        return None
    from curation.runtime.on_ray.secrets import lend

    return lend(secrets)


def _result_in(out: Path) -> TrainResult:
    if not (out / _RESULT).is_file():
        raise TransientError(f"training in {out} ended without a result; run it again")
    reported = json.loads((out / _RESULT).read_text(encoding="utf-8"))
    return replace(TrainResult(**reported), model=out / "model", metrics=out / "metrics.jsonl")


def _work(job: dict[str, Any]) -> None:
    """What every process does."""
    import ray.train
    import ray.train.torch

    from jobs.training.processes import Place

    if job["lender"] is not None:
        job["lender"].take()
    context = ray.train.get_context()
    place = Place(
        rank=context.get_world_rank(),
        world_size=context.get_world_size(),
        device=ray.train.torch.get_device(),
        wrap=ray.train.torch.prepare_model,
    )
    config = TrainConfig.model_validate_json(json.dumps(job["config"]))
    result = run_loop(job["shards"], Path(job["out"]), config, place)
    if place.rank == 0:
        (Path(job["out"]) / _RESULT).write_text(json.dumps(asdict(result), default=str), encoding="utf-8")
