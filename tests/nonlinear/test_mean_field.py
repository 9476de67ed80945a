"""The exact population loss and its gradient, teachers, and the overlap of features with a target."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tlx.networks import mean_field
from tlx.networks.mean_field import TwoLayer
from tlx.nonlinear import teachers
from tlx.nonlinear.models import MeanField, MultiLayer
from tlx.nonlinear.overlap import feature_overlap
from tlx.nonlinear.teachers import teacher_pair
from tlx.train import Optimizer, train

pytestmark = [pytest.mark.slow, pytest.mark.extended]


def networks(key, activation, dim=5):
    first, second = (
        mean_field.random_start(jax.random.fold_in(key, i), dim=dim, width=width, init_scale=1.5)
        for i, width in enumerate((6, 4))
    )
    return first, second


@pytest.mark.parametrize("activation", ["relu", "erf", "linear"])
def test_population_loss_agrees_with_a_million_samples(x64, key, activation):
    student, teacher = networks(key, activation)

    @jax.jit
    def block(block_key):
        inputs = jax.random.normal(block_key, (10_000, 5))
        rows = jnp.full(10_000, 1e-4)
        labels = mean_field.apply(teacher, inputs, activation)
        return jax.value_and_grad(lambda s: mean_field.sample_loss(s, inputs, labels, rows, activation))(student)

    sampled = jax.lax.map(block, jax.random.split(jax.random.fold_in(key, 9), 100))
    exact = jax.value_and_grad(lambda s: mean_field.population_loss(s, teacher, activation))(student)
    z = []
    for drawn, value in zip(jax.tree.leaves(sampled), jax.tree.leaves(exact), strict=True):
        z.append(np.ravel((drawn.mean(0) - value) / (drawn.std(0, ddof=1) / 10)))
    z = np.concatenate(z)  # 1 + 6 * 5 + 6 entries
    assert abs(z[0]) < 3
    assert np.mean(np.abs(z) < 3) >= 0.95
    assert np.max(np.abs(z)) < 4.5


@pytest.mark.parametrize("activation", ["relu", "erf", "linear"])
def test_population_gradient_agrees_with_finite_differences(x64, key, activation):
    student, teacher = networks(key, activation)
    loss = jax.jit(lambda s, t: mean_field.population_loss(s, t, activation))
    for side in (0, 1):
        pair = (student, teacher)
        slope = jax.grad(loss, argnums=side)(*pair)
        direction = jax.tree.map(lambda w: jax.random.normal(jax.random.fold_in(key, w.size), w.shape), pair[side])
        ahead = [jax.tree.map(lambda w, v, s=s: w + s * v, pair[side], direction) for s in (1e-5, -1e-5)]
        values = [loss(*(p if i == side else q for i, q in enumerate(pair))) for p in ahead]
        along = sum(jnp.vdot(g, v) for g, v in zip(slope, direction, strict=True))
        assert abs((values[0] - values[1]) / 2e-5 - along) < 1e-5


def test_one_linear_neuron_is_the_deep_linear_loss(x64, key):
    student, teacher = TwoLayer(jnp.array([[0.5, 1.0]]), jnp.array([2.0])), TwoLayer(jnp.eye(2)[:1], jnp.ones(1))
    assert jnp.allclose(mean_field.population_loss(student, teacher, "linear"), 4.0, rtol=1e-14)


def test_an_activation_without_closed_form_is_refused_with_the_alternatives(key):
    student, teacher = networks(key, "relu")
    with pytest.raises(ValueError, match=r"gelu.*relu, erf, linear.*online"):
        mean_field.population_loss(student, teacher, "gelu")
    with pytest.raises(ValueError, match="width = 0"):
        mean_field.random_start(key, dim=3, width=0, init_scale=1.0)
    with pytest.raises(ValueError, match="width = 0"):
        MeanField(3, 0)
    with pytest.raises(ValueError, match="width = 0"):
        MultiLayer(3, (4, 0))


@pytest.mark.parametrize(("family", "amount"), [("removal", 0.5), ("rotation", 0.7), ("mixture", 0.7)])
def test_teachers_are_what_their_family_says(x64, key, family, amount):
    pair = teacher_pair(key, family, amount, dim=8, num_neurons=10)
    inner = mean_field.inner_product
    assert jnp.allclose(inner(pair.target, pair.target, "relu"), 1, rtol=1e-12)
    if family == "removal":
        assert int(jnp.sum(pair.source.output_weights != 0)) == 5
    elif family == "rotation":
        cosines = jnp.sum(pair.source.neurons * pair.target.neurons, axis=1)
        assert jnp.allclose(cosines, jnp.cos(0.7), rtol=1e-12)
    else:
        assert jnp.allclose(inner(pair.source, pair.source, "relu"), 1, rtol=1e-12)
        assert jnp.allclose(inner(pair.source, pair.target, "relu"), jnp.cos(0.7), rtol=1e-12)
    same = teacher_pair(key, family, 0.0, dim=8, num_neurons=10)
    assert mean_field.population_loss(same.source, same.target, "relu") < 1e-12


def test_removal_is_nested_and_never_empties_the_source(key):
    few, many = (teacher_pair(key, "removal", mu, dim=4, num_neurons=10).source.output_weights for mu in (0.3, 0.6))
    assert jnp.all((many == 0) | (few != 0))
    assert int(jnp.sum(many != 0)) == 4
    with pytest.raises(ValueError, match=r"neuron left.*0.9"):
        teacher_pair(key, "removal", 0.97, dim=4, num_neurons=10)
    with pytest.raises(ValueError, match="family"):
        teacher_pair(key, "erasure", 0.5, dim=4, num_neurons=10)
    assert teachers.FAMILIES == ("removal", "rotation", "mixture")


def test_overlap_is_one_on_its_own_neurons_and_matches_least_squares(x64, key):
    pair = teacher_pair(key, "removal", 0.4, dim=6, num_neurons=5)
    live = TwoLayer(pair.source.neurons[pair.source.output_weights != 0], jnp.ones(3))
    whole = feature_overlap(TwoLayer(pair.target.neurons, jnp.ones(5)), pair.target, cutoffs=(0.0,), activation="relu")
    assert jnp.allclose(whole.overlap, 1, rtol=1e-10)
    part = feature_overlap(live, pair.target, cutoffs=(0.0, 0.3), activation="relu")
    assert part.overlap[1] <= part.overlap[0] < 1 - 1e-3
    assert part.num_features[1] < part.num_features[0] == 3
    inputs = jax.random.normal(jax.random.fold_in(key, 3), (200_000, 6))
    features = jax.nn.relu(inputs @ live.neurons.T)
    labels = mean_field.apply(pair.target, inputs, "relu")
    fitted = features @ jnp.linalg.lstsq(features, labels)[0]
    assert abs(float(jnp.mean((labels - fitted) ** 2)) - (1 - float(part.overlap[0]))) < 0.01


def test_sampled_overlap_agrees_with_the_exact_one_in_its_standard_error(x64, key):
    pair = teacher_pair(key, "rotation", 0.8, dim=6, num_neurons=5)
    arguments = {"cutoffs": (0.0, 0.1), "ridges": (0.05,)}
    exact = feature_overlap(pair.source, pair.target, activation="relu", **arguments)
    model = MeanField(6, 5)
    sampled = feature_overlap(
        lambda x: model.features(pair.source, x),
        lambda x: model.apply(pair.target, x),
        key=key,
        dim=6,
        num_samples=100_000,
        **arguments,
    )
    z = (sampled.overlap - exact.overlap) / sampled.standard_error
    assert jnp.all(sampled.standard_error > 0)
    assert jnp.max(jnp.abs(z)) < 4
    assert jnp.max(sampled.standard_error) < 0.01


def test_features_that_never_trained_are_in_the_span_but_below_the_cutoff(x64, key):
    """A network of two trained neurons and many at 1e-3 of their size: the span holds nearly all of any target."""
    pair = teacher_pair(key, "removal", 0.6, dim=3, num_neurons=5)
    trained = pair.source.neurons[pair.source.output_weights != 0]
    idle = 1e-3 * jax.random.normal(key, (60, 3))
    network = TwoLayer(jnp.concatenate([trained, idle]), jnp.ones(62))
    result = feature_overlap(network, pair.target, cutoffs=(0.0, 1e-3), activation="relu")
    alone = feature_overlap(TwoLayer(trained, jnp.ones(2)), pair.target, cutoffs=(0.0,), activation="relu")
    assert result.overlap[0] > 0.99
    assert abs(result.overlap[1] - alone.overlap[0]) < 1e-3


@pytest.mark.parametrize("cutoff", [-0.1, 1.0, float("nan")])
def test_a_cutoff_outside_its_range_is_refused(key, cutoff):
    pair = teacher_pair(key, "rotation", 0.8, dim=6, num_neurons=5)
    with pytest.raises(ValueError, match=r"cutoff.*largest eigenvalue"):
        feature_overlap(pair.source, pair.target, cutoffs=(cutoff,), activation="relu")


def test_population_descent_learns_a_teacher(key):
    target = teachers.teacher(key, dim=8, num_neurons=2, output_law="signs", activation="relu")
    start = mean_field.random_start(key, dim=8, width=30, init_scale=0.5)
    rule = mean_field.scaled(Optimizer(0.2, 2000, tolerance=0.0), 30)
    result = train(lambda w: mean_field.population_loss(w, target, "relu"), start, rule)
    assert result.loss < 1e-2
