"""
When to stop, and what it is worth
==================================

The risk along training follows from a handful of ordinary differential equations. Near n = d the end of
training is a bad place to be; stopped at their best, scratch and fine-tuning keep most of what they had learned.
"""

import jax.numpy as jnp
import matplotlib.pyplot as plt

from tlx import theory

ratio = jnp.linspace(0.1, 1.9, 37)
names = {"scratch": "scratch", "fine_tuning": "fine-tuning"}
figure, axis = plt.subplots(figsize=(9, 3.6), layout="constrained")
for (protocol, name), colour in zip(names.items(), ("#2b2b2b", "#0068b5"), strict=True):
    _, best = theory.best_stopping(protocol, 0.9, ratio, 0.5, init_scale=0.01)
    axis.plot(ratio, best, color=colour, label=f"{name}, stopped at its best")
    axis.plot(ratio, theory.method_risk(protocol, 0.9, ratio, 0.5), ":", color=colour, label=f"{name}, to the end")
axis.set(ylim=(0, 2), xlabel="samples per dimension, n/d (θ = 52°, σ = 0.5)", ylabel="risk")
axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
