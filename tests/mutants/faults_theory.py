"""Faults in the theory and in the engines of the linear studies."""

from tests.mutants.fault import Fault


def _theory(name: str, module: str, old: str, new: str, first: str) -> Fault:
    return Fault(name, f"tlx/theory/{module}.py", old, new, "tests/theory", f"tests/theory/test_{first}.py")


def _linear(name: str, module: str, old: str, new: str, first: str) -> Fault:
    return Fault(name, f"tlx/linear/{module}.py", old, new, "tests/linear", f"tests/linear/test_{first}.py")


THEORY = [
    _theory("bias of scratch grows with n", "scratch", "jnp.where(ratio < 1, 1 - ratio, 0.0)",
            "jnp.where(ratio < 1, 1 + ratio, 0.0)", "theory_scratch"),
    _theory("noise enters by its standard deviation", "scratch", "_arrays.times(noise**2,", "_arrays.times(noise,",
            "theory_scratch"),
    _theory("noise gain above the pole upside down", "_arrays", "below / (1 - below), 1 / (above - 1)",
            "below / (1 - below), above / (above - 1)", "theory_scratch"),
    _theory("exact gain forgets one degree of freedom", "_arrays", "guarded(below, dim - num_samples - 1)",
            "guarded(below, dim - num_samples)", "theory_scratch"),
    _theory("overlap of fine-tuning loses its factor 2", "fine_tuning", "(2 * scale * overlap - scale**2 * safe)",
            "(scale * overlap - scale**2 * safe)", "theory_fine_tuning"),
    _theory("null-space scale with the exponent of the norm", "fine_tuning", "** (exponent / 2)", "** exponent",
            "theory_fine_tuning"),
    _theory("depth counts one layer too many", "fine_tuning", "1 - 1 / depth", "1 - 1 / (depth + 1)",
            "theory_fine_tuning"),
    _theory("sine and cosine swapped in linear transfer", "linear_transfer",
            "along, across = jnp.cos(angle) ** 2, jnp.sin(angle) ** 2",
            "across, along = jnp.cos(angle) ** 2, jnp.sin(angle) ** 2", "theory_linear_transfer"),
    _theory("misfit does not act as noise", "linear_transfer", "_arrays.times(noise**2 + floor, variance)",
            "_arrays.times(noise**2, variance)", "theory_linear_transfer"),
    _theory("variance of a probe with n - 1", "_refit", "1 / guarded(enough, count - 2)",
            "1 / guarded(enough, count - 1)", "theory_linear_transfer"),
    _theory("optimal ridge upside down in the ratio", "ridge", "noise**2 / (ratio * _arrays",
            "noise**2 * ratio / (1 * _arrays", "theory_regularised"),
    _theory("optimal risk drops the effective ridge", "ridge", "root = slope**2 + 4 * best / ratio",
            "root = slope**2 + 4 * best", "theory_regularised"),
    _theory("distance of tasks by the full angle", "finite_source", "jnp.sin(angle / 2) ** 2",
            "jnp.sin(angle) ** 2", "theory_regularised"),
    _theory("a source set above d keeps more than all", "finite_source", "jnp.where(ratio < 1, ratio, 1.0)",
            "jnp.where(ratio < 1, ratio, ratio)", "theory_finite_source"),
    _theory("source ridge charges a probe twice", "source_ridge", "guarded(enough, count - 2), jnp.inf)",
            "guarded(enough, (count - 2) / 2), jnp.inf)", "theory_regularised"),
    _theory("boundary beyond one on the wrong side", "boundary", "1 + relative / _arrays.guarded(tilted, across)",
            "1 - relative / _arrays.guarded(tilted, across)", "theory_phase"),
    _theory("weight decay without the factor of the penalty", "weight_decay", "decay / 2 * norm ** (2 / depth - 2)",
            "decay * norm ** (2 / depth - 2)", "theory_scratch"),
    _theory("memory of the flow decays the wrong way", "training/_flow", "-jnp.expm1(-far) / far",
            "jnp.expm1(-far) / far", "training_theory"),
]  # fmt: skip

LINEAR = [
    _linear("cross moments by the wrong count", "data", "cross / count, power / count, count)",
            "cross / (count + 1), power / count, count)", "data"),
    _linear("labels without noise", "data", "labels = inputs @ task + noise_std *",
            "labels = inputs @ task + 0 * noise_std *", "data"),
    _linear("gradient of the loss halved", "data", "slope += 2 * (image @ move)", "slope += image @ move", "data"),
    _linear("population without its noise", "data", "power = task @ cross + jnp.asarray(noise_std, task.dtype) ** 2",
            "power = task @ cross", "data"),
    _linear("ridge of the probe ignored", "probe", "jnp.asarray(ridges, gram.dtype)",
            "0 * jnp.asarray(ridges, gram.dtype)", "probe"),
    _linear("null space kept with drift", "chain", "cross = jnp.where(null, 0, basis.T @ data.cross)",
            "cross = basis.T @ data.cross + jnp.where(null, 1e-3, 0)", "chain"),
    _linear("layer norm of one layer too many", "chain", "math.sqrt(max(depth - 1, 1))", "math.sqrt(max(depth, 1))",
            "chain"),
    _linear("balanced start with the wrong root", "chain", "scale = norm ** (1 / depth)\n",
            "scale = norm ** (1 / (depth + 1))\n", "chain"),
    _linear("growing mode of a start doubled", "chain", "weights[1]) / 2\n", "weights[1])\n", "chain"),
    _linear("flow keeps all of the null space", "flow_end", "(x / safe) ** (power / 2) * null", "null", "flow"),
    _linear("flow ends with the wrong power", "flow_end", "power = (depth - 1) / depth", "power = depth / (depth + 1)",
            "flow"),
    _linear("decay of the end of flow doubled", "flow_end", "half = jnp.asarray(weight_decay, dtype) / 2",
            "half = jnp.asarray(weight_decay, dtype)", "flow"),
    _linear("pull of L2-SP away from the source", "penalties", "modes.cross + penalty * centre, power)",
            "modes.cross - penalty * centre, power)", "penalised"),
    _linear("source ridge forgets the spared direction", "penalties", "fit + jnp.where(seen > 0, share, 0) * spared",
            "fit", "penalised"),
    _linear("momentum does not stretch time", "steps", "/ (1 - rule.momentum)\n", "\n", "setting"),
    _linear("stable step of a network without depth", "steps", "1 / (setting.depth * top *", "1 / (top *", "setting"),
    _linear("status of fine-tuning that never ran", "engines/base", "jnp.full_like(source.status, NOT_RUN)",
            "source.status", "lanes"),
]  # fmt: skip
