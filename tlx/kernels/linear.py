"""The identity activation: E[(a.x)(b.x)] = a.b, the case in which networks are deep linear."""

from jaxtyping import Array, Float

from tlx.kernels._shapes import check_pair


def linear_gram(first: Float[Array, "k d"], second: Float[Array, "m d"]) -> Float[Array, "k m"]:
    """E[(a.x)(b.x)] = a.b for every row a of `first` and b of `second`, x ~ N(0, I_d)."""
    check_pair(first, second)
    return first @ second.T


def field(
    points: Float[Array, "k d"], neurons: Float[Array, "m d"], weights: Float[Array, " m"]
) -> tuple[Float[Array, " k"], Float[Array, "k d"]]:
    """sum_j q_j K(a, b_j) = a.s and its gradient in a, s = sum_j q_j b_j, for every row a of `points`."""
    total = weights @ neurons
    return points @ total, total[None, :] * (0 * points[:, :1] + 1)
