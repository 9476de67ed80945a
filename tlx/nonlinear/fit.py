"""Full-batch training of a network on a sample, with the weights laid out as the steps of that network are fastest."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from tlx.networks import mean_field
from tlx.nonlinear.curvature import stable
from tlx.nonlinear.data import Sample
from tlx.nonlinear.models import MeanField, Model
from tlx.train import Optimizer, TrainResult, train

NARROW = 2**11  # weights up to which a step costs about as much as a turn of the loop around it


class _Form(NamedTuple):
    """How a model's weights are kept while it is trained; an isometry, so that sizes and rates stay the same."""

    pack: Callable[[PyTree], PyTree]
    unpack: Callable[[PyTree], PyTree]
    apply: Callable[[PyTree, Array], Array]
    unroll: int  # steps in one turn of the loop, see `train`


def fit(
    model: Model,
    start: PyTree,
    sample: Sample,
    optimizer: Optimizer,
    *,
    calm: bool = False,
    observe: Callable[[PyTree], PyTree] | None = None,
    record_at: tuple[int, ...] = (),
) -> TrainResult:
    """Minimise (1/n) sum_i (f(x_i) - y_i)^2 over the weights of `model`, from `start`.

    Args:
        model: what is trained.
        start: its weights, as `model.start` makes them.
        sample: n rows.
        optimizer: the rule, in units of the network (`model.scaled`).
        calm: cut the step size to what the loss bears at the start, see `curvature.stable`.
        observe, record_at: as in `train`; `observe` gets weights as `model.start` makes them.
    """
    form = _form_of(model)

    def loss(weights: PyTree) -> Float[Array, ""]:
        return jnp.mean((form.apply(weights, sample.inputs) - sample.labels) ** 2)

    packed = form.pack(start)
    rule = stable(optimizer, loss, packed) if calm else optimizer
    look = None if observe is None else lambda weights: observe(form.unpack(weights))
    end = train(loss, packed, rule, observe=look, record_at=record_at, unroll=form.unroll)
    return end._replace(params=form.unpack(end.params))


def _form_of(model: Model) -> _Form:
    if isinstance(model, MeanField):
        unroll = 2 if model.width * model.dim <= NARROW else 1
        apply = mean_field.apply_columns
        return _Form(mean_field.to_columns, mean_field.to_rows, lambda w, x: apply(w, x, model.activation), unroll)
    return _Form(lambda weights: weights, lambda weights: weights, model.apply, 1)
