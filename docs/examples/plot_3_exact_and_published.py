"""
Fine-tuning: published and exact
================================

The published formula keeps the pretrained vector unchanged where the data do not see it. Balance of the layers is
conserved during fine-tuning, so that part is rescaled by a factor c, which noise, norms and depth move away from 1.
"""

import jax.numpy as jnp
import matplotlib.pyplot as plt

from tlx import theory

noise = jnp.linspace(0, 2, 200)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for depth in (2, 3, 6):
    axes[0].plot(noise, theory.fine_tuning_gain(0.7, 0.5, noise, depth=depth), label=f"exact, L = {depth}")
    axes[1].plot(noise, jnp.degrees(theory.break_even_angle("fine_tuning", 0.5, noise, depth=depth)))
published = theory.fine_tuning_gain(0.7, 0.5, noise, published=True)
axes[0].plot(noise, published, "k:", label="as published")
axes[1].axhline(60, color="k", ls=":")
axes[0].set(xlabel="label noise σ", ylabel="transferability at θ = 40°, n/d = ½")
axes[1].set(xlabel="label noise σ", ylabel="break-even angle, degrees")
axes[0].legend()
