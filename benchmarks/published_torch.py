"""The published training algorithm in PyTorch, as one would use it: the competitor of `benchmarks.full_linear`.

Instances are batched, activations go through the layers in the order of the network, x W_1 first, gradients come
from autograd, and each step is plain SGD. This is our own writing of the algorithm, not the released program.
"""

import time

import torch


def train(
    inputs: torch.Tensor,
    labels: torch.Tensor,
    weights: list[torch.Tensor],
    learning_rate: float,
    num_steps: int,
) -> tuple[list[torch.Tensor], list[float]]:
    """Full-batch gradient descent on the mean squared error of every instance.

    Args:
        inputs: shape (instances, n, d).
        labels: shape (instances, n).
        weights: layers (instances, d_l, d_{l+1}), the last (instances, d_L, 1).
        learning_rate, num_steps: of SGD.

    Returns:
        the trained layers, and the seconds of each step.
    """
    layers = [weight.clone().requires_grad_(True) for weight in weights]
    optimizer = torch.optim.SGD(layers, lr=learning_rate)
    seconds = []
    for _ in range(num_steps):
        begin = time.perf_counter()
        optimizer.zero_grad()
        hidden = inputs
        for layer in layers:
            hidden = torch.bmm(hidden, layer)
        loss = ((hidden[..., 0] - labels) ** 2).mean(dim=1).sum()
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - begin)
    return [layer.detach() for layer in layers], seconds


def predictors(layers: list[torch.Tensor]) -> torch.Tensor:
    """W_1 ... W_L of every instance, shape (instances, d)."""
    product = layers[-1]
    for layer in reversed(layers[:-1]):
        product = torch.bmm(layer, product)
    return product[..., 0]
