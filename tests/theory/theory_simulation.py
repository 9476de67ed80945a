"""Plain NumPy experiments for the tests of the theory: data, least squares, fine-tuning endpoints, real networks."""

import numpy as np

INF = float("inf")


def pair(dim, angle, target_norm=1.0, source_norm=1.0):
    """Target and source vectors at an angle (isotropic inputs make the choice of axes free)."""
    source, across = np.zeros(dim), np.zeros(dim)
    source[0], across[1] = 1.0, 1.0
    return target_norm * (np.cos(angle) * source + np.sin(angle) * across), source_norm * source


def labelled(rng, count, samples, vector, noise, spectrum=None):
    """`count` data sets: inputs (count, samples, dim) and labels (count, samples); `vector` may be one per set."""
    inputs = rng.normal(size=(count, samples, vector.shape[-1]))
    if spectrum is not None:
        inputs *= np.sqrt(spectrum)
    clean = np.einsum("knd,kd->kn", inputs, np.broadcast_to(vector, (count, vector.shape[-1])))
    return inputs, clean + noise * rng.normal(size=(count, samples))


def min_norm(inputs, labels):
    """The minimum-norm least-squares solution of every data set."""
    samples, dim = inputs.shape[1:]
    turned = np.swapaxes(inputs, 1, 2)
    if samples <= dim:
        weights = np.linalg.solve(inputs @ turned, labels[..., None])
        return (turned @ weights)[..., 0]
    return np.linalg.solve(turned @ inputs, turned @ labels[..., None])[..., 0]


def off_span(inputs, vector):
    """(I - P) v of every data set (zero for more samples than dimensions)."""
    vector = np.broadcast_to(vector, (len(inputs), inputs.shape[2]))
    if inputs.shape[1] >= inputs.shape[2]:
        return np.zeros_like(vector)
    return vector - min_norm(inputs, np.einsum("knd,kd->kn", inputs, vector))


def endpoint_scale(fitted, null, start, depth):
    """c of every data set from |beta_ft| = q c^{L/(L-1)}, by bisection in log c on the measured norms."""
    if depth == 1:
        return np.ones(len(fitted))
    size, rest = np.sum(fitted**2, -1), np.sum(null**2, -1)
    start = np.sum(np.broadcast_to(start, fitted.shape) ** 2, -1)
    low, high = np.full(len(fitted), -40.0), np.full(len(fitted), 40.0)
    for _ in range(80):
        middle = (low + high) / 2
        short = start * np.exp(2 * middle * depth / (depth - 1)) < size + np.exp(2 * middle) * rest
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return np.exp((low + high) / 2)


def fine_tuned(inputs, labels, start, depth):
    """Gradient-flow endpoint of fine-tuning, and the scratch solution, of every data set."""
    fitted, null = min_norm(inputs, labels), off_span(inputs, start)
    return fitted + endpoint_scale(fitted, null, start, depth)[:, None] * null, fitted


def descend(inputs, labels, start, width, learning_rate, steps):
    """Gradient descent of real two-layer networks W_1 (dim, width), w_2 (width) placed at the balanced limit."""
    size = np.sqrt(np.linalg.norm(start))
    inner = np.ones(width) / np.sqrt(width)
    first = np.repeat((size * start / np.linalg.norm(start))[None, :, None] * inner, len(inputs), axis=0)
    last = np.repeat(size * inner[None], len(inputs), axis=0)
    samples = inputs.shape[1]
    for _ in range(steps):
        residual = np.einsum("knd,kd->kn", inputs, np.einsum("kdw,kw->kd", first, last)) - labels
        slope = 2 / samples * np.einsum("kn,knd->kd", residual, inputs)
        back = np.einsum("kd,kdw->kw", slope, first)
        first = first - learning_rate * slope[:, :, None] * last[:, None, :]
        last = last - learning_rate * back
    return np.einsum("kdw,kw->kd", first, last)


def descend_chain(inputs, labels, start, depth, learning_rate, steps, *, trained=None, decay=0.0, width=3):
    """Gradient descent of full matrices W_1 (dim, width) ... W_L (width, 1) from the balanced limit, on every data set.

    `trained` lists the layers that move (all by default); `decay` pulls each towards its own start.
    """
    trained = range(depth) if trained is None else trained
    inner = np.ones((width, 1)) / np.sqrt(width)
    size = np.linalg.norm(start) ** (1 / depth)
    begin = [size * (start / np.linalg.norm(start))[:, None] @ inner.T] + [size * inner @ inner.T] * (depth - 2)
    begin += [size * inner] if depth > 1 else []
    ends = descend_layers(inputs, labels[..., None], begin, learning_rate, steps, trained=trained, decay=decay)
    return ends[..., 0]


def descend_layers(inputs, labels, begin, learning_rate, steps, *, trained, decay=0.0):
    """The same from any layers `begin`, for labels (count, samples, outputs); returns (count, dim, outputs)."""
    count, samples, _ = inputs.shape
    layers = [np.repeat(layer[None], count, axis=0) for layer in begin]
    turned = np.swapaxes(inputs, 1, 2)
    gram, cross = turned @ inputs / samples, turned @ labels / samples
    last = np.repeat(np.eye(labels.shape[-1])[None], count, axis=0)
    for _ in range(steps):
        tails = [last]
        for layer in reversed(layers):
            tails.append(layer @ tails[-1])
        head = 2 * (gram @ tails[-1] - cross)
        slopes = []
        for layer, tail in zip(layers, reversed(tails[:-1]), strict=True):
            slopes.append(head @ np.swapaxes(tail, 1, 2))
            head = np.swapaxes(layer, 1, 2) @ head
        for index in trained:
            pull = slopes[index] + decay * (layers[index] - begin[index])
            layers[index] = layers[index] - learning_rate * pull
    beta = layers[0]
    for layer in layers[1:]:
        beta = beta @ layer
    return beta


def z_score(values, theory):
    """Distance of a mean from a number, in standard errors."""
    values = np.asarray(values)
    return float((values.mean() - theory) / (values.std(ddof=1) / np.sqrt(len(values))))


def risk(estimate, target, spectrum=None):
    """Excess population risk of every data set."""
    return np.sum((estimate - target) ** 2 * (1.0 if spectrum is None else spectrum), -1)
