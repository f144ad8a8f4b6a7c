"""Explanations as pure functions of arrays: any JAX callable, 2D and 3D, one example each.

    maps = batched(METHODS["occlusion"], chunk=8)(score, images, window=8, stride=4)
    flat = jax.vmap(lambda m: to_image_grid(m, images.shape[1:]))(maps)
    table = score_maps(flat, masks)

`score(image)` gives one number; methods on features take `forward(image, taps) -> (score, ends)`. A map is
raw and signed, positive = supports the score. This package imports jax and numpy and nothing else.
"""

from lensjax.explain.ascent import Dream, ascend
from lensjax.explain.batch import batched
from lensjax.explain.cam import cams
from lensjax.explain.chunked import map_chunks, sum_chunks
from lensjax.explain.dream import DREAMS, activation_image, class_image, deep_dream, dream_options
from lensjax.explain.faithfulness import FAITHFULNESS, max_sensitivity
from lensjax.explain.features import activations_and_gradients, layers, split
from lensjax.explain.flip import by_gradient, by_patches, margin
from lensjax.explain.incremental import incremental_occlusion
from lensjax.explain.localisation import (
    SCORES,
    bootstrap_interval,
    centre_distance,
    centroid,
    chance,
    iou,
    pointing,
    score_maps,
)
from lensjax.explain.methods import METHODS, ON_FEATURES, ON_IMAGE, TRIVIAL, get_method, options_of, parse
from lensjax.explain.path import complete_gradients, completeness_error
from lensjax.explain.postprocess import normalise, positive, sum_channels, to_image_grid, upsample
from lensjax.explain.reference import REFERENCES, reference_image
from lensjax.explain.regression import Surrogate
from lensjax.explain.sanity import cascade, full_randomisation
from lensjax.explain.segments import slic
from lensjax.explain.similarity import similarity
from lensjax.explain.stability import lime_top_patches, stability, top_patches
from lensjax.explain.stack import Convolution, Gate, MaxPool, Pointwise, Stack
from lensjax.explain.surrogate import kernel_shap_fit, lime_fit
from lensjax.explain.targets import TARGETS, all_classes

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
