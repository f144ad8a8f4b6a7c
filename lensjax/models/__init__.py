"""Networks: the only place that imports flax."""

from lensjax.models.cnn import Network, build, count_parameters

__all__ = ["Network", "build", "count_parameters"]
