"""Networks, the only place that imports flax. Read `network` and `build` first, then `cnn`.

network: a network as a function of parameters and images · build: from a checked configuration to a network ·
cnn: the N-d trunk, and where its cells lie on the image · unet: the N-d U-Net · heads: class, position, sigma
· attention: gates over positions and windows · event_views: what the trunk sees of an event · published: the
lens finders of Wilde et al. 2022 and their weights.
"""

from lensjax.models.build import build, count_parameters
from lensjax.models.cnn import Network
from lensjax.models.network import Apply, apply_single, predict

__all__ = ["Apply", "Network", "apply_single", "build", "count_parameters", "predict"]
