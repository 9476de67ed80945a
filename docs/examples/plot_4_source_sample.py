"""
How large must the source set be?
=================================

A finite, noisy source set leaves a vector that is shorter or longer than the task and points elsewhere. Both numbers
are known, and with them the risk of every protocol.
"""

import jax.numpy as jnp
import matplotlib.pyplot as plt

from tlx import theory

source = jnp.geomspace(0.1, 30, 600)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for noise in (0.0, 0.3, 1.0):
    given = {"source_ratio": source, "source_noise_std": noise}
    axes[0].plot(source, jnp.degrees(theory.pretrained_angle(0.4, source, noise)), label=f"source noise {noise}")
    axes[1].plot(source, theory.fine_tuning_risk(0.4, 0.5, 0.3, **given))
axes[1].axhline(theory.scratch_risk(0.5, 0.3), color="k", ls=":")
axes[1].annotate("scratch", (11, theory.scratch_risk(0.5, 0.3) + 0.03))
axes[0].set(xscale="log", xlabel="source samples per dimension", ylabel="angle to the target, degrees", ylim=(0, 90))
axes[1].set(xscale="log", xlabel="source samples per dimension", ylabel="risk of fine-tuning", ylim=(0, 1.5))
axes[0].legend()
