"""
Which knob matters most? Gradients of the theory
================================================

Every form is differentiable. Here: how much the transferability of fine-tuning changes with each quantity, at one task.
"""

import jax
import matplotlib.pyplot as plt

from tlx import theory

task = {
    "overlap_angle": 0.8,
    "sample_ratio": 0.5,
    "noise_std": 0.5,
    "target_norm": 1.0,
    "source_norm": 1.0,
    "depth": 2.0,
}
gain = jax.value_and_grad(lambda task: theory.fine_tuning_gain(**task))
value, slopes = gain(task)

figure, axis = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
names = sorted(slopes, key=lambda name: abs(slopes[name]))
axis.barh([name.replace("_", " ") for name in names], [float(slopes[name]) for name in names])
axis.axvline(0, color="k", lw=1)
axis.set(xlabel="derivative of T", title=f"T = {float(value):.3f}")
