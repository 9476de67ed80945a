"""Every study at a size that takes a second once its programs are compiled, for the benchmarks of honesty."""

LINEAR = ["task.dim=6", "optimizer.num_steps=60", "ensemble.num_instances=2", "pretraining.mode=limit", "figures=[]"]
RATIOS = "grid.sample_ratios=[0.5,1.5]"
NONLINEAR = [
    "task.dim=4",
    "task.num_neurons=4",
    "network.width=4",
    "optimizer.num_steps=20",
    "pretraining.num_steps=20",
]
NONLINEAR += ["ensemble.num_instances=2", "num_test=100", "figures=[]"]
TINY = {
    "phase_diagram": [*LINEAR, "grid.overlap_angles=[0.4,1.2]", RATIOS],
    "comparison": [*LINEAR, "grid.overlap_angles=[0.4]", "grid.values=[0.0,0.5]", RATIOS],
    "learning_curves": [*LINEAR, "grid.overlap_angles=[0.4]", RATIOS, "grid.times=3"],
    "scratch_risk": [*LINEAR, RATIOS],
    "pretraining": ["task.dim=6", "optimizer.num_steps=40", "ensemble.num_instances=2", "num_records=4", "figures=[]"],
    "relu_phase_diagram": [*NONLINEAR, "grid.amounts=[0.5]", "grid.sample_sizes=[4,8]"],
    "relu_kernels": [*NONLINEAR, "grid.amounts=[0.5]", "num_records=2"],
    "overlap": [
        *NONLINEAR,
        *("grid.families=[removal]", "grid.fractions=[0.5]", "grid.networks=[mean_field-2-relu]", "num_samples=8"),
        "standard_num_steps=10",
    ],
    "predictors": [
        *("task.dim=10", "ensemble.num_instances=2", "grid.num_angles=5", "grid.relu_angles=5", "grid.ensemble_size=3"),
        *("grid.relu_ensemble_size=3", "grid.sample_angles=2", "grid.sample_ratios=[0.3,1.4]", "num_resamples=10"),
        *("samples.dim=5", "samples.num_samples=6", "samples.repeats=1", "relu.task.dim=4", "relu.task.num_neurons=2"),
        *("relu.network.width=4", "relu.optimizer.num_steps=20", "relu.pretraining.num_steps=20"),
        *("relu.num_instances=2", "relu.num_nodes=20", "relu.num_test=100", "relu.sizes=[8]", "relu.fixed_size=8"),
        "figures=[]",
    ],
    "stopping": [*LINEAR, "grid.overlap_angles=[0.4,1.2]", "grid.sample_ratios=[0.5]", "grid.times=[0.1,0.5]"],
    "tuned": [
        *(*LINEAR, "grid.overlap_angles=[0.4]", "grid.sample_ratios=[0.5]", "grid.times=[0.1,0.5]"),
        *("scratch.weight_decays=[0.0,0.3]", "linear_transfer.ridges=[0.0,0.3]", "l2sp.penalties=[0.0,0.3]"),
        *("l2sp.weight_decays=[0.0,0.3]", "source_ridge.ridges=[0.1,0.4]"),
    ],
    "frozen_layers": [*LINEAR, "grid.overlap_angles=[0.4]", "grid.sample_ratios=[0.5]", "grid.trained=[1,1+2]"],
    "sgd": [*LINEAR, "grid.sample_ratios=[0.5]", "grid.batch_sizes=[2,0]", "grid.times=[0.05,0.1]"],
    "several_outputs": [
        *("task.dim=6", "ensemble.num_instances=2", "optimizer.num_steps=60", "figures=[]"),
        *("grid.turns=[0.0,1.2]", "grid.sample_ratios=[0.5,1.5]"),
    ],
    "real_data": [  # the part whose package is everywhere: scikit-learn
        *("parts=[digits]", "ensemble.num_instances=2", "digits.num_samples=[20]", "digits.width=8"),
        *("digits.num_steps=20", "digits.pretraining_steps=20", "digits.advised=1", "figures=[]"),
    ],
}
