"""Split each batch over the devices of one data-parallel mesh; every device holds everything else.

XLA inserts the all-reduce, so the same step runs on a laptop and on a cluster; models do not depend on it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from lensjax.runtime.errors import UserError
from lensjax.types import Batch


def data_mesh() -> Mesh:
    """Return a mesh of all devices of all processes along one axis, "data"."""
    return jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))


def check_batch_size(batch_size: int) -> None:
    """Refuse a batch that does not divide over the devices.

    Raises:
      UserError: with the nearest sizes that do.
    """
    devices = jax.device_count()
    if batch_size % devices:
        below = batch_size // devices * devices
        raise UserError(
            f"optim.batch_size (={batch_size}) must be a multiple of the {devices} devices: "
            f"use {below or devices} or {below + devices}."
        )


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding that keeps a whole copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def shard(batch: Batch, mesh: Mesh, axis: int = 0) -> Batch:
    """Bring this process's rows of a batch, which lie along an axis, to its devices."""
    sharding = NamedSharding(mesh, PartitionSpec(*[None] * axis, "data"))
    return jax.tree.map(partial(jax.make_array_from_process_local_data, sharding), batch)


def gather(values: Any) -> Any:
    """Gather the rows of all processes, as NumPy on each."""
    if jax.process_count() == 1:
        return jax.tree.map(np.asarray, values)
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(values, tiled=True)
