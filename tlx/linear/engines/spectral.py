"""Engine `spectral`: the gradient descent of engine `full` in the limit of small starts, in the data's eigenbasis.

The same draws, steps, statuses and stopping rule, at O(d) a step; see `tlx.linear.chain`. A two-layer random start is
represented by the part of it that leaves the saddle, computed from the very weights that engine `full` would draw,
so that runs from scratch agree step by step too; at depth >= 3 time counts from where the saddle has been left.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from tlx import _keys
from tlx._checks import require
from tlx.linear import batches, flow_end
from tlx.linear import chain as chains
from tlx.linear.chain import Chain, Modes
from tlx.linear.engines import eigenbasis
from tlx.linear.engines.base import Prepared, Risk, Trained
from tlx.linear.engines.eigenbasis import EigenbasisEngine
from tlx.linear.reports import over_time
from tlx.linear.setting import LinearSetting
from tlx.linear.steps import head_rule, record_steps
from tlx.linear.task import LinearPair
from tlx.networks import deep_linear
from tlx.train import Optimizer, Status


def fit(
    modes: Modes,
    basis: Array | None,
    chain: Chain,
    depth: int,
    rule: Optimizer,
    *,
    observe: Callable[[Chain], PyTree] | None = None,
    record_at: Any = (),
    step_loss: Callable[[Chain, Array], Array] | None = None,
    anchor: Array | None = None,
) -> Trained:
    """Train a chain given in coordinates on modes in some basis (None: the coordinates); the result, and what
    `observe` sees at the steps `record_at`, is in coordinates again. `step_loss` sees the chain in the basis; `anchor`
    is the weight decay towards the start, see `chains.descend`."""

    def outward(chain):
        return chain if basis is None else chains.turned(chain, basis)

    record = {} if observe is None else {"observe": lambda c: observe(outward(c)), "record_at": record_at}
    begin = chain if basis is None else chains.turned(chain, basis.T)
    held = None if anchor is None else (begin, anchor)
    result = chains.descend(modes, begin, depth, rule, **record, step_loss=step_loss, anchor=held)
    end = outward(result.params)
    return Trained(end, chains.predictor(end, depth), result.status, result.num_steps, result.curve)


class Spectral(EigenbasisEngine):
    """Gradient descent of a rank-one chain."""

    name = "spectral"

    def check(self, setting: LinearSetting) -> None:
        """Refuse what does not keep a rank-one chain."""
        for rule in (setting.pretrain, setting.scratch, setting.fine_tune):
            chains.check_rule(rule)
        eigenbasis.check_all_weights(setting, self.name)
        if setting.start == "random" and setting.depth > 1:
            chains.check_start(setting.init_scale, setting.depth)

    def extra(self, setting: LinearSetting, key: Array, modes: Modes) -> deep_linear.Weights | None:
        """The start of the source network that engine `full` would draw."""
        if setting.pretraining != "gradient_descent":
            return None
        return eigenbasis.untrained(setting, _keys.named(_keys.named(key, "source"), "start"))

    def scratch(self, setting: LinearSetting, prepared: Prepared, weight_decay: Array, risk: Risk) -> Trained:
        """From the chain of the untrained network that belongs to this data set."""
        rule = dataclasses.replace(setting.scratch, weight_decay=weight_decay)
        return self._on_target(
            setting, prepared, eigenbasis.scratch_start(setting, prepared), rule, risk, "scratch batches"
        )

    def pretrain(
        self,
        setting: LinearSetting,
        prepared: Prepared,
        pair: LinearPair,
        *,
        observe: Callable[[Chain], PyTree] | None = None,
        record_at: tuple[int, ...] = (),
    ) -> Trained:
        """A chain trained on the source loss, or placed at its limit; `observe` sees the chain in coordinates."""
        modes, basis = eigenbasis.source_modes(prepared, pair.source)
        if setting.pretraining == "gradient_descent":
            cross = modes.cross if basis is None else basis @ modes.cross
            begin = eigenbasis.start(setting, prepared.state.extra, cross)
            record = {"observe": observe, "record_at": record_at}
            return fit(modes, basis, begin, setting.depth, setting.pretrain, **record)
        require(observe is None, "pretraining = 'limit' takes no steps to watch; use 'gradient_descent'.")
        learned = pair.source if basis is None else basis @ flow_end.minimum_norm(modes)
        placed = chains.balanced(learned, setting.depth)
        done, none = jnp.asarray(Status.CONVERGED, jnp.int32), jnp.asarray(0, jnp.int32)
        return Trained(placed, chains.predictor(placed, setting.depth), done, none, None)

    def fine_tune(self, setting: LinearSetting, prepared: Prepared, source: Trained, risk: Risk) -> Trained:
        """From the pretrained chain."""
        return self._on_target(setting, prepared, source.network, setting.fine_tune, risk, "fine-tuning batches")

    def _on_target(
        self, setting: LinearSetting, prepared: Prepared, chain: Chain, rule: Optimizer, risk: Risk, stream: str
    ) -> Trained:
        basis, modes = prepared.state.decomposition
        key, count = _keys.named(prepared.own, stream), prepared.moments.num_samples
        batch = None
        if setting.batch_size is not None:
            inputs, labels = prepared.rows
            rows = inputs @ basis, labels

            def batch(chain, step):
                return batches.loss(key, setting, rows, count, chains.predictor(chain, setting.depth), step)

        def observe(chain):
            return risk(chains.predictor(chain, setting.depth))

        steps = record_steps(setting.times, rule)
        return fit(modes, basis, chain, setting.depth, rule, observe=observe, record_at=steps, step_loss=batch)

    def anchored(self, setting: LinearSetting, prepared: Prepared, source: Trained, penalty: Array) -> Trained:
        """The chain with weight decay towards its start."""
        basis, modes = prepared.state.decomposition
        return fit(modes, basis, source.network, setting.depth, setting.fine_tune, anchor=penalty)

    def pulled(self, setting: LinearSetting, prepared: Prepared, source: Trained, modes: Modes) -> Trained:
        """The chain on other modes."""
        return fit(modes, prepared.state.decomposition.basis, source.network, setting.depth, setting.fine_tune)

    def head_over_time(
        self, setting: LinearSetting, prepared: Prepared, source: Trained, risk: Risk
    ) -> Float[Array, " t"]:
        """The last layer alone on the chain's feature: a network of depth 1."""
        rule, (modes, outward) = head_rule(setting), eigenbasis.head(setting, prepared, source.network)
        if not setting.times:  # nothing to look at: nothing to train
            return jnp.zeros(0, modes.cross.dtype)
        zero = Chain(jnp.zeros_like(modes.cross), jnp.zeros_like(modes.label_power))
        record = {"observe": lambda c: risk(outward(c.first)), "record_at": record_steps(setting.times, rule)}
        return over_time(chains.descend(modes, zero, 1, rule, **record))
