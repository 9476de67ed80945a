"""Data sets of any study and preset without any training: numbers near the theory, of the shapes that units have."""

import functools

import numpy as np
import pytest
import small

from experiments import phase_diagram
from experiments.phase_diagram import PENALTY
from experiments.running import store

CELL, PAIR = ("theta", "sample_ratio", "instance"), ("amount", "instance")
DIAGRAM = {
    "risk": ("protocol", *CELL),
    "status": ("protocol", *CELL),
    "risk_by_ridge": ("ridge", *CELL),
    "risk_by_weight_decay": ("weight_decay", "sample_ratio", "instance"),
    "status_by_weight_decay": ("weight_decay", "sample_ratio", "instance"),
    **dict.fromkeys(("pretrained_norm", "pretrained_overlap"), CELL),
    "source_risk": CELL,
    "num_features": CELL,
    "fine_tuning_steps": CELL,
    "scratch_steps": ("weight_decay", "sample_ratio", "instance"),
    "stable_learning_rate": ("sample_ratio", "instance"),
}
CURVES = {**DIAGRAM, "risk_over_time": ("protocol", "theta", "sample_ratio", "time", "instance")}
BY_PENALTY = {f"{what}_by_{name}": (name, *CELL) for what in ("risk", "status") for name in PENALTY.values()}
TRAINED = ("trained", "theta", "sample_ratio", "instance")
BATCHES = ("batch_size", "theta", "sample_ratio")
OUTPUTS = ("turn", "sample_ratio", "instance")
OVER_STEPS = ("instance", "step")
RELU = ("source_loss", "out_of_space", "out_of_span", "ridge_floor", "leverage", "num_features", "pretraining_steps")
OVERLAP = ("network", "family", "fraction", "instance")
WORDS = ("words_features", "words_samples", "words_raters", "instance", "words_protocol")
ELEMENTS, DIGITS = ("element_property", "element_samples", "instance"), ("digits_samples", "instance")
ARRAYS = {  # study -> array of its units -> dimensions
    "phase_diagram": DIAGRAM,
    "comparison": {name: ("variant", *dims) for name, dims in DIAGRAM.items()},
    "learning_curves": CURVES,
    "stopping": CURVES,
    "frozen_layers": dict.fromkeys(("risk", "published_risk", "balance", "status"), TRAINED),
    "sgd": {
        **dict.fromkeys(("risk_over_time", "balance_over_time"), (*BATCHES, "time", "instance")),
        "status": (*BATCHES, "instance"),
    },
    "tuned": {**DIAGRAM, "fine_tuning_over_time": ("theta", "sample_ratio", "time", "instance"), **BY_PENALTY},
    "several_outputs": {**dict.fromkeys(("risk", "status"), ("protocol", *OUTPUTS)), "num_steps": OUTPUTS},
    "scratch_risk": {
        **dict.fromkeys(("risk", "status", "num_steps"), ("weight_decay", "sample_ratio", "instance")),
        "stable_learning_rate": ("sample_ratio", "instance"),
    },
    "pretraining": {
        **dict.fromkeys(("norm", "alignment", "loss", "imbalance"), OVER_STEPS),
        **dict.fromkeys(("singular_value", "second_singular_value"), (*OVER_STEPS, "layer")),
        **dict.fromkeys(("status", "start_norm"), ("instance",)),
    },
    "relu_phase_diagram": {
        **dict.fromkeys(("risk", "status"), ("protocol", "amount", "num_samples", "instance")),
        **dict.fromkeys((*RELU, "pretraining_status"), PAIR),
    },
    "relu_kernels": {
        "status": PAIR,
        **dict.fromkeys(("source_loss", "alignment_source", "alignment_target"), (*PAIR, "step")),
        "overlap": (*PAIR, "step", "cutoff"),
    },
    "overlap": {
        "risk": ("protocol", *OVERLAP),
        **dict.fromkeys(("lp_ft_status", "fine_tuning_status", "pretraining_status"), OVERLAP),
        **dict.fromkeys(("out_of_space", "source_loss", "num_features"), OVERLAP),
    },
    "predictors": {
        **dict.fromkeys(("linear_risk", "linear_status"), ("protocol", "linear_task", "instance")),
        "linear_overlap": ("linear_task", "instance"),
        "linear_score": ("score", "linear_task", "instance"),
        **dict.fromkeys(("relu_risk", "relu_status"), ("protocol", "relu_task", "relu_instance")),
        "relu_overlap": ("relu_task", "relu_instance"),
        "relu_score": ("score", "relu_task", "relu_instance"),
        "relu_distance": ("distance", "relu_task", "relu_instance"),
        "sample_distance": ("sample_theta", "repeat"),
    },
    "real_data": {
        **dict.fromkeys(("words_error", "words_test_se", "words_held_out", "words_held_out_se"), WORDS),
        "words_advice": (*WORDS[:-1], "asked"),
        "words_noise": (*WORDS[:-1], "bound"),
        "words_broken": WORDS[:-1],
        **dict.fromkeys(("form_measured", "form_trace"), ("words_ratio", "form_features", "instance")),
        **dict.fromkeys(("element_error", "element_test_se", "element_held_out_se"), (*ELEMENTS, "representation")),
        "element_score": (*ELEMENTS, "element_score_name", "representation"),
        "element_advice": ELEMENTS,
        **dict.fromkeys(("digits_error", "digits_accuracy", "digits_test_se"), (*DIGITS, "digits_protocol")),
        **dict.fromkeys(("digits_held_out", "digits_held_out_se"), (*DIGITS, "digits_protocol")),
        "digits_advice": DIGITS,
        "digits_status": (*DIGITS, "digits_run"),
    },
}
COARSE = ["grid.overlap_angles=5", "grid.sample_ratios=[0.2,0.5,0.8,1.2,2.0]"]  # where theory takes long
FEW = {  # what a test need not have in full; everything a picture shows stays
    **dict.fromkeys(("finite_source_half", "finite_source_three_halves", "source_sizes"), COARSE),
    "power_law_inputs": ["task.dim=20", "grid.values=[1.0]", "ensemble.num_instances=1"],
    "stopping": ["grid.overlap_angles=[0.4,1.0,1.3]", "grid.sample_ratios=[0.5,1.5]"],
    "tuned": ["grid.overlap_angles=[0.4,1.2]", "grid.sample_ratios=[0.5,1.5]"],
    "predictors": small.SMALL["predictors"][:9],
}
POLE = 20.0  # stands for an infinite theory


@functools.cache
def data(study, preset=None):
    """The finished data set of a preset (None: of the study's defaults), at its own grid, with four instances."""
    own = small.study(study)
    words = [*([f"experiment={preset}"] if preset else []), "ensemble.num_instances=4", *FEW.get(preset or study, [])]
    config = small.composed(study, words)
    axes = own.axes(config)
    random = np.random.default_rng(7)
    arrays = {name: (dims, _values(name, dims, axes, random)) for name, dims in ARRAYS[study].items()}
    found = finished(own, config, store.assemble([({}, arrays)], axes))
    if study == "predictors":  # the same for its linear tasks, whose claims are about signs
        theory = found.linear_theory.sel(protocol=axes["protocol"]).values
        scatter = 1 + 0.05 * random.standard_normal((*theory.shape, len(axes["instance"])))
        arrays["linear_risk"] = (arrays["linear_risk"][0], theory[..., None] * scatter)
        found = own.finish(config, store.assemble([({}, arrays)], axes))
    if study == "phase_diagram":  # a second time, with trained networks near the theory: one factor for all protocols
        dims, theory = arrays["risk"][0], found.theory.transpose(*arrays["risk"][0][:-1]).values
        scatter = 1 + 0.05 * random.standard_normal((*theory.shape[1:], len(axes["instance"])))
        arrays["risk"] = (dims, np.where(np.isfinite(theory), theory, POLE)[..., None] * scatter)
        found = finished(own, config, store.assemble([({}, arrays)], axes))
    return found


def finished(own, config, assembled):
    """The data set with theory on coarser fields than a picture that is printed needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phase_diagram, "FINE", (25, 61))
        return own.finish(config, assembled)


def _values(name, dims, axes, random):
    shape = [len(axes[dim]) for dim in dims]
    if "status" in name:
        return np.where(random.random(shape) < 0.04, 1, 0).astype(np.int8)
    values = random.uniform(0.3, 0.9, shape)
    if name.endswith(("_advice", "_leading", "_broken")):
        return random.integers(0 if name.endswith("_broken") else -1, 2, shape)
    if "num_samples" in dims:  # risk falls with the sample and grows with the difficulty
        sizes = np.asarray(axes["num_samples"], float)[:, None]
        values *= 3 * (1 + np.arange(shape[0]).reshape(-1, 1, 1, 1)) * sizes**-0.6
    return values.astype(int) + 2 if name in ("num_features", "num_steps") or name.endswith("_steps") else values
