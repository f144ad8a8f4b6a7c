"""The methods: `method(score, image, *, key, **options) -> map` for ONE example. Read `registry` first.

registry                every method, registered once; `METHODS`
gradient                the gradient, times the input, over noisy copies
integrated_gradients    gradients along a path from a baseline
guided_backprop         ReLUs with another backward pass
perturbation            occlusion
rise                    random smooth masks
surrogate               LIME and KernelSHAP; patch_regression: their least squares
cam                     class activation maps, from one backward pass or without
attention               the gate that a network learned
trivial_maps            maps that do not use the network
"""
