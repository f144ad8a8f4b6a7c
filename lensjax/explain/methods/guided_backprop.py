"""Guided back-propagation and deconvnet: a ReLU's backward pass replaced, wherever the ReLU stands.

In JAX every ReLU is a function, so there is no module to hook. The score is traced to a jaxpr, which is
evaluated again with another derivative at each ReLU; the network itself is not touched. Both methods look
sharp, and both fail the randomisation test: their maps hardly depend on what was learned (Adebayo et al.
2018, arXiv:1810.03292).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from lensjax.explain.engine.jaxprs import inner_jaxprs, run_equation, run_jaxpr
from lensjax.explain.engine.loops import at_least_float32
from lensjax.explain.engine.postprocess import positive, upsample
from lensjax.explain.engine.programs import jit_method
from lensjax.explain.engine.taps import Forward, spatial_layer
from lensjax.explain.methods.cam import grad_cam
from lensjax.explain.methods.gradient import Score, value
from lensjax.runtime.errors import UserError
from lensjax.types import Array, Float, PRNGKeyArray

UNDEFINED = (
    "relu6",
    "leaky_relu",
    "silu",
    "softplus",
    "elu",
    "celu",
    "selu",
    "gelu",
    "hard_tanh",
    "hard_silu",
)
"""Activations that neither rule covers; GELU has no name in the jaxpr unless it is jitted."""
INLINED = ("jit", "pjit", "closed_call", "core_call", "remat2", "checkpoint", "remat")


@jit_method
def guided_backprop(
    score: Score, image: Float[Array, "*s c"], *, key: PRNGKeyArray | None = None
) -> Float[Array, "*s c"]:
    """Return ∂score/∂image where a ReLU passes back only what is positive, and where it was active.

    Springenberg et al. 2014. Fails the randomisation test: see the module.

    Raises:
      UserError: the score has no ReLU, one that cannot be replaced, or another activation.
    """
    return _gradient(score, image, _guided)


@jit_method
def deconvnet(
    score: Score, image: Float[Array, "*s c"], *, key: PRNGKeyArray | None = None
) -> Float[Array, "*s c"]:
    """Return ∂score/∂image where a ReLU passes back what is positive, active or not (Zeiler & Fergus 2014).

    Raises:
      UserError: as `guided_backprop`.
    """
    return _gradient(score, image, _deconvnet)


@jit_method(static=("layer", "upsampling", "origin", "step"))
def guided_grad_cam(
    forward: Forward,
    image: Float[Array, "*s c"],
    *,
    key: PRNGKeyArray | None = None,
    layer: str | None = None,
    upsampling: str = "linear",
    origin: tuple[float, ...] | None = None,
    step: tuple[float, ...] | None = None,
) -> Float[Array, "*s c"]:
    """Multiply guided back-propagation by the upsampled positive Grad-CAM (Selvaraju et al. 2017).

    `origin` and `step` say where the layer's cells lie (`postprocess.upsample`).
    """
    name = spatial_layer(forward, image, layer)
    coarse = positive(grad_cam(forward, image, layer=name))
    fine = upsample(coarse, image.shape[:-1], method=upsampling, origin=origin, step=step)
    return fine[..., None] * guided_backprop(lambda x: forward(x, None)[0], image)


@jax.custom_vjp
def _guided(x: Array) -> Array:
    return jnp.maximum(x, 0)


_guided.defvjp(lambda x: (jnp.maximum(x, 0), x > 0), lambda active, g: (jnp.where(active & (g > 0), g, 0),))


@jax.custom_vjp
def _deconvnet(x: Array) -> Array:
    return jnp.maximum(x, 0)


_deconvnet.defvjp(lambda x: (jnp.maximum(x, 0), None), lambda _, g: (jnp.maximum(g, 0),))


def _gradient(score: Score, image: Array, rule: Callable[[Array], Array]) -> Array:
    image = at_least_float32(image)
    closed = jax.make_jaxpr(lambda x: value(score, x))(image)
    _check(closed.jaxpr)
    return jax.grad(lambda x: _evaluate(closed.jaxpr, closed.consts, [x], rule)[0])(image)


def _check(jaxpr: Jaxpr) -> None:
    """Check that there is a ReLU, each in a place where it is replaced, and no activation without a rule."""
    found = list(_relus(jaxpr, ()))
    for where in found:
        odd = [name for name in where if name not in (*INLINED, "scan", "cond")]
        if odd:
            raise UserError(
                f"a ReLU inside '{odd[-1]}' cannot be replaced: guided rules would miss it. "
                "Write the score without that wrapper."
            )
    if not found:
        raise UserError(
            "the score has no ReLU, so guided back-propagation and deconvnet are the plain gradient: "
            "use gradient, or a network with ReLU."
        )


def _relus(jaxpr: Jaxpr, where: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Return the primitives around each live ReLU."""
    for eqn in _live(jaxpr):
        name = eqn.params.get("name", "")
        if name in UNDEFINED:
            raise UserError(
                f"the score uses {name}, for which guided rules are undefined: use ReLU throughout."
            )
        if _is_relu(eqn):
            yield where
        else:
            for inner in inner_jaxprs(eqn):
                yield from _relus(inner, (*where, eqn.primitive.name))


def _live(jaxpr: Jaxpr) -> list[JaxprEqn]:
    """Return the equations that the results depend on: others are no part of this score."""
    needed = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    live = []
    for eqn in reversed(jaxpr.eqns):
        if needed & set(eqn.outvars):
            live.append(eqn)
            needed |= {v for v in eqn.invars if not isinstance(v, Literal)}
    return live[::-1]


def _is_relu(eqn: JaxprEqn) -> bool:
    """Tell a `jax.nn.relu`, or a bare maximum with a literal 0."""
    if eqn.primitive.name == "custom_jvp_call":
        inner = [one for jaxpr in inner_jaxprs(eqn) for one in jaxpr.eqns]
        return len(inner) == 1 and inner[0].params.get("name") == "relu"
    zeros = [isinstance(v, Literal) and np.ndim(v.val) == 0 and bool(v.val == 0) for v in eqn.invars]
    return eqn.primitive.name == "max" and sum(zeros) == 1


def _evaluate(jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any], rule: Callable) -> list[Any]:
    """Compute the jaxpr's results, ReLUs by `rule`."""
    return run_jaxpr(
        jaxpr, consts, args, equations=_live(jaxpr), apply=lambda eqn, args: _apply(eqn, args, rule)
    )


def _apply(eqn: JaxprEqn, args: list[Any], rule: Callable) -> list[Any]:
    if _is_relu(eqn):
        is_zero = [isinstance(v, Literal) for v in eqn.invars]
        return [rule(args[is_zero.index(False)])]
    if any(next(_relus(one, ()), None) is not None for one in inner_jaxprs(eqn)):
        return _apply_inside(eqn, args, rule)
    return run_equation(eqn, args)


def _apply_inside(eqn: JaxprEqn, args: list[Any], rule: Callable) -> list[Any]:
    """Compute an equation that holds ReLUs in a jaxpr of its own; `_check` has seen its kind."""
    if eqn.primitive.name == "cond":
        index, *rest = args
        branches = [_function(branch, rule) for branch in eqn.params["branches"]]
        return jax.lax.switch(index, branches, *rest)
    if eqn.primitive.name == "scan":
        consts, carry, xs = _scan_arguments(eqn.params, args)
        body = _function(eqn.params["jaxpr"], rule)

        def step(carry: list, x: list) -> tuple[list, list]:
            out = body(*consts, *carry, *x)
            return out[: len(carry)], out[len(carry) :]

        options = {name: eqn.params[name] for name in ("length", "reverse", "unroll")}
        final, stacked = jax.lax.scan(step, carry, xs, **options)
        return [*final, *stacked]
    jaxpr = next(p for p in eqn.params.values() if isinstance(p, ClosedJaxpr | Jaxpr))
    return _function(jaxpr, rule)(*args)


def _scan_arguments(params: dict[str, Any], args: list[Any]) -> tuple[list[Any], ...]:
    """Return what is the same in every step, what is carried, and what is scanned over."""
    if "ft_in" in params:  # jax 0.11.2, in place of the two numbers below
        return tuple(list(part) for part in params["ft_in"].update(args).unpack())
    fixed, carried = params["num_consts"], params["num_carry"]
    return args[:fixed], args[fixed : fixed + carried], args[fixed + carried :]


def _function(jaxpr: ClosedJaxpr | Jaxpr, rule: Callable) -> Callable[..., list[Any]]:
    inner, consts = (jaxpr.jaxpr, jaxpr.consts) if isinstance(jaxpr, ClosedJaxpr) else (jaxpr, ())
    return lambda *args: _evaluate(inner, consts, args, rule)
