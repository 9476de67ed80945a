"""
A phase diagram in ten lines
============================

Where does transfer help? Red: the pretrained network saves risk; blue: it costs. Every function of the theory
broadcasts, so a diagram is one call. The black line is the break-even angle, which is known in closed form.
"""

import jax.numpy as jnp
import matplotlib.pyplot as plt

from tlx import theory

ratio, theta = jnp.linspace(0.005, 1.995, 200), jnp.linspace(0, jnp.pi / 2, 150)
figure, axes = plt.subplots(2, 2, figsize=(9, 6), sharex=True, sharey=True, layout="constrained")
names = {"linear_transfer": "linear transfer", "fine_tuning": "fine-tuning"}
for row, (protocol, name) in zip(axes, names.items(), strict=True):
    for axis, noise in zip(row, (0.2, 0.5), strict=True):
        gain = theory.transferability(protocol, theta[:, None], ratio[None, :], noise)
        field = axis.pcolormesh(ratio, jnp.degrees(theta), gain, cmap="RdBu_r", vmin=-1, vmax=1)
        axis.plot(ratio, jnp.degrees(theory.break_even_angle(protocol, ratio, noise)), "k")
        axis.set(title=f"{name}, σ = {noise}", ylim=(0, 90))
        axis.grid(False)
for axis in axes[1]:
    axis.set_xlabel("n/d")
for axis in axes[:, 0]:
    axis.set_ylabel("angle, degrees")
figure.colorbar(field, ax=axes, extend="both", label="transferability T")
