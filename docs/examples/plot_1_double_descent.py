"""
Double descent, and what weight decay makes of it
=================================================

Trained from small weights, a linear network of any depth ends in the minimum-norm interpolator. Its risk has a pole
where samples and dimensions are as many; a tuned ridge, which is what weight decay amounts to, removes it.
"""

import jax.numpy as jnp
import matplotlib.pyplot as plt

from tlx import theory

ratio = jnp.linspace(0.02, 2.5, 400)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
for noise in (0.2, 0.5, 1.0):
    axes[0].plot(ratio, theory.scratch_risk(ratio, noise), label=f"σ = {noise}")
    axes[1].plot(ratio, theory.optimal_ridge_risk(ratio, noise), label=f"σ = {noise}")
axes[0].set(title="untuned", ylim=(0, 2), ylabel="risk")
axes[1].set(title="best ridge")
for axis in axes:
    axis.set_xlabel("samples per dimension, n/d")
axes[0].legend()

# %%
# The best penalty is known: σ²/(γ r²).

print(theory.optimal_ridge(0.5, 0.5))
