"""Which numbers fine-tuning trains: all weights, those of some layers, or an update of low rank of each."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from tlx import _keys
from tlx.linear.setting import LinearSetting
from tlx.networks.deep_linear import Weights


def trainable(setting: LinearSetting, weights: Weights, key: Array) -> tuple[PyTree, Callable[[PyTree], Weights]]:
    """What is trained at its start, and from it to all weights of the network.

    Args:
        setting: its trained_layers, lora_rank and lora_scale.
        weights: the pretrained network.
        key: of the random factors of low-rank updates.
    """
    layers = range(1, setting.depth + 1) if setting.trained_layers is None else setting.trained_layers
    if setting.lora_rank is None:
        if setting.trained_layers is None:
            return weights, lambda trained: trained
        return tuple(weights[layer - 1] for layer in layers), lambda trained: _put(weights, layers, trained)

    def start(layer):
        weight = weights[layer - 1]
        if weight.ndim == 1:
            return weight
        rows, columns = weight.shape
        right = jax.random.normal(_keys.lane(key, layer), (setting.lora_rank, columns)) / jnp.sqrt(columns)
        return jnp.zeros((rows, setting.lora_rank), weight.dtype), setting.lora_scale * right.astype(weight.dtype)

    def whole(trained):
        updated = [
            part if weights[layer - 1].ndim == 1 else weights[layer - 1] + part[0] @ part[1]
            for layer, part in zip(layers, trained, strict=True)
        ]
        return _put(weights, layers, updated)

    return tuple(start(layer) for layer in layers), whole


def _put(weights: Weights, layers, trained) -> Weights:
    """The weights with some layers (numbered from 1) replaced."""
    new = dict(zip(layers, trained, strict=True))
    return tuple(new.get(i + 1, weight) for i, weight in enumerate(weights))
