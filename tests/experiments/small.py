"""Studies made small enough for a test, from the same configuration files that users compose."""

import functools
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import experiments
from experiments.advice import packages
from experiments.running import api, compose
from experiments.running.study import Study, UserError

ROOT = Path(__file__).resolve().parents[2]
PRESETS = sorted((ROOT / "conf" / "experiment").glob("*.yaml"))

LINEAR = ["task.dim=12", "optimizer.num_steps=300", "ensemble.num_instances=2", "ensemble.devices=1"]
LINEAR += ["pretraining.mode=limit"]
NONLINEAR = [
    "task.dim=6",
    "task.num_neurons=4",
    "network.width=8",
    "optimizer.num_steps=50",
    "pretraining.num_steps=50",
]
NONLINEAR += ["ensemble.num_instances=2", "ensemble.instances_per_unit=2", "ensemble.devices=1", "num_test=200"]
SMALL = {
    "phase_diagram": [*LINEAR, "grid.overlap_angles=[0.4,1.2]", "grid.sample_ratios=[0.5,1.5]"],
    "comparison": [*LINEAR, "grid.overlap_angles=[0.4]", "grid.sample_ratios=[0.5,1.5]"],
    "learning_curves": [*LINEAR, "grid.overlap_angles=[0.4]", "grid.sample_ratios=[0.5,1.5]", "grid.times=3"],
    "stopping": [
        *(*LINEAR, "grid.overlap_angles=[0.4,1.0,1.3]", "grid.sample_ratios=[0.5,1.5]", "grid.times=[0.1,0.5,2]"),
    ],
    "tuned": [
        *(*LINEAR, "grid.overlap_angles=[0.4,1.2]", "grid.sample_ratios=[0.5]", "grid.times=[0.1,0.5,2]"),
        *("scratch.weight_decays=[0.0,0.3]", "linear_transfer.ridges=[0.0,0.3]", "l2sp.penalties=[0.0,0.3]"),
        *("l2sp.weight_decays=[0.0,0.3]", "source_ridge.ridges=[0.1,0.4]"),
    ],
    "frozen_layers": [
        *(*LINEAR, "grid.overlap_angles=[0.4]", "grid.sample_ratios=[0.5]", "grid.trained=[1,1 lora 1,1+2]"),
    ],
    "sgd": [*LINEAR, "grid.batch_sizes=[2,0]", "grid.times=[0.1,0.4]"],
    "several_outputs": [
        *("task.dim=12", "ensemble.num_instances=2", "ensemble.devices=1", "optimizer.num_steps=300"),
        *("grid.turns=[0.0,1.2]", "grid.sample_ratios=[0.5,1.5]"),
    ],
    "scratch_risk": [*LINEAR, "grid.sample_ratios=[0.5,1.5]"],
    "pretraining": ["task.dim=12", "optimizer.num_steps=200", "ensemble.num_instances=2", "num_records=5"],
    "relu_phase_diagram": [*NONLINEAR, "grid.amounts=[0.25,0.5]", "grid.sample_sizes=[8,16,32]"],
    "relu_kernels": [*NONLINEAR, "grid.amounts=[0.25,0.5]", "num_records=3"],
    "predictors": [
        *("task.dim=20", "ensemble.num_instances=2", "grid.num_angles=5", "grid.relu_angles=5", "grid.ensemble_size=4"),
        *("grid.relu_ensemble_size=3", "grid.sample_angles=3", "grid.sample_ratios=[0.3,0.7,1.4]", "num_resamples=20"),
        *("samples.dim=10", "samples.num_samples=12", "samples.repeats=2", "ensemble.devices=1"),
        *("relu.task.dim=4", "relu.task.num_neurons=2", "relu.network.width=6", "relu.optimizer.num_steps=60"),
        *("relu.pretraining.num_steps=200", "relu.num_instances=2", "relu.num_nodes=60", "relu.num_test=500"),
        *("relu.sizes=[20,40]", "relu.fixed_size=40"),
    ],
    "real_data": [
        *("parts=[digits]", "ensemble.num_instances=2", "ensemble.devices=1", "digits.num_samples=[20]"),
        *("digits.width=16", "digits.num_steps=50", "digits.pretraining_steps=50", "digits.advised=1"),
    ],
    "overlap": [
        "precision=float64",  # the probes of its small networks magnify rounding
        *NONLINEAR,
        "grid.families=[removal]",
        "grid.fractions=[0.0,0.5]",
        "grid.networks=[mean_field-2-relu,standard-2-tanh]",
        "num_samples=16",
        "standard_num_steps=30",
    ],
}


@functools.cache
def study(name) -> Study:
    """The study of that name."""
    return api.find(name)


def installed(*parts):
    """Skip, with the study's own sentence, where packages of these parts of real_data are missing."""
    try:
        packages.check(list(parts))
    except UserError as error:
        pytest.skip(str(error))


def owner(preset):
    """The study a preset belongs to."""
    return OmegaConf.load(preset).study


def composed(name, overrides):
    """The typed configuration of a command line."""
    return compose.typed(study(name), compose.composed(study(name), list(overrides)))


def run(name, directory, *overrides):
    """A small run of a study; later overrides win."""
    experiments.run(study(name), [*SMALL[name], *overrides], directory=directory)
    return directory
