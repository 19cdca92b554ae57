"""The nodes of a Ray cluster, as pools of workers are planned on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ray

from curation.plan.placement import Node
from curation.plan.sizing import ClusterResources

_EVERYWHERE = ("CPU", "GPU", "memory", "object_store_memory")


def cluster_nodes() -> list[Node]:
    """CPUs, GPUs, memory and custom resources of every node of the cluster, whoever holds them."""
    return [_node(entry) for entry in ray.nodes() if entry["Alive"]]  # type: ignore[no-untyped-call]


def _node(entry: Mapping[str, Any]) -> Node:
    resources: Mapping[str, float] = entry["Resources"]
    return Node(
        node_id=entry["NodeID"],
        resources=ClusterResources(
            cpus=resources.get("CPU", 0.0), gpus=resources.get("GPU", 0.0), memory_bytes=resources.get("memory", 0.0)
        ),
        # Ray gives every node resources of its own, such as `node:10.0.0.3` and `accelerator_type:L4`.
        store_bytes=resources.get("object_store_memory", 0.0),
        carries=frozenset(name for name in resources if ":" not in name and name not in _EVERYWHERE),
    )
