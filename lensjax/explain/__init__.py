"""Explanations as pure functions of arrays: any JAX callable, 2D and 3D, one example each.

    maps = batched(METHODS["occlusion"], chunk=8)(score, images, window=8, stride=4)
    flat = jax.vmap(lambda m: to_image_grid(m, images.shape[1:]))(maps)
    table = score_maps(flat, masks)

`score(image)` gives one number; methods on features take `forward(image, taps) -> (score, ends)`. A map is
raw and signed, positive = supports the score. This package imports jax and numpy and nothing else.

    engine/         how scores are read, looped over, compiled; baselines, patches, post-processing
    methods/        the methods; `methods/registry.py` names them all
    scores/         scores of a map, against the truth or against the network
    incremental/    occlusion from changed patches alone
    dreams/         images that raise a score
"""

from lensjax.explain.dreams.ascent import Dream, ascend
from lensjax.explain.dreams.dream import DREAMS, activation_image, class_image, deep_dream, dream_options
from lensjax.explain.engine.baselines import REFERENCES, reference_image
from lensjax.explain.engine.batch import batched
from lensjax.explain.engine.loops import map_chunks, sum_chunks
from lensjax.explain.engine.postprocess import normalise, positive, sum_channels, to_image_grid, upsample
from lensjax.explain.engine.segments import slic
from lensjax.explain.engine.taps import activations_and_gradients, layers, split
from lensjax.explain.engine.targets import TARGETS, all_classes
from lensjax.explain.incremental.incremental import incremental_occlusion
from lensjax.explain.incremental.local_layers import Convolution, Gate, MaxPool, Pointwise, Stack
from lensjax.explain.methods.cam import cams
from lensjax.explain.methods.integrated_gradients import complete_gradients, completeness_error
from lensjax.explain.methods.patch_regression import Surrogate
from lensjax.explain.methods.registry import (
    METHODS,
    ON_FEATURES,
    ON_IMAGE,
    TRIVIAL,
    Method,
    get_method,
    options_of,
    parse,
)
from lensjax.explain.methods.surrogate import kernel_shap_fit, lime_fit
from lensjax.explain.scores.faithfulness import FAITHFULNESS, max_sensitivity
from lensjax.explain.scores.flip import by_gradient, by_patches, margin
from lensjax.explain.scores.localisation import (
    SCORES,
    bootstrap_interval,
    centre_distance,
    centroid,
    chance,
    iou,
    pointing,
    score_maps,
)
from lensjax.explain.scores.sanity import cascade, full_randomisation, similarity
from lensjax.explain.scores.stability import lime_top_patches, stability, top_patches

__all__ = [
    "DREAMS",
    "FAITHFULNESS",
    "METHODS",
    "ON_FEATURES",
    "ON_IMAGE",
    "REFERENCES",
    "SCORES",
    "TARGETS",
    "TRIVIAL",
    "Convolution",
    "Dream",
    "Gate",
    "MaxPool",
    "Method",
    "Pointwise",
    "Stack",
    "Surrogate",
    "activation_image",
    "activations_and_gradients",
    "all_classes",
    "ascend",
    "batched",
    "bootstrap_interval",
    "by_gradient",
    "by_patches",
    "cams",
    "cascade",
    "centre_distance",
    "centroid",
    "chance",
    "class_image",
    "complete_gradients",
    "completeness_error",
    "deep_dream",
    "dream_options",
    "full_randomisation",
    "get_method",
    "incremental_occlusion",
    "iou",
    "kernel_shap_fit",
    "layers",
    "lime_fit",
    "lime_top_patches",
    "map_chunks",
    "margin",
    "max_sensitivity",
    "normalise",
    "options_of",
    "parse",
    "pointing",
    "positive",
    "reference_image",
    "score_maps",
    "similarity",
    "slic",
    "split",
    "stability",
    "sum_channels",
    "sum_chunks",
    "to_image_grid",
    "top_patches",
    "upsample",
]
