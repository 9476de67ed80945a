"""Engine `flow`: where gradient flow from small starts ends, with no steps: one scalar root per pair.

At given times (`LinearSetting.times`) it also gives the risk along the flow, by solving the chain's equations.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from tlx._checks import require
from tlx.glossary import Protocol
from tlx.linear import chain as chains
from tlx.linear import flow_end
from tlx.linear.chain import Chain, Modes
from tlx.linear.engines import eigenbasis
from tlx.linear.engines.base import Prepared, Risk, Trained
from tlx.linear.engines.eigenbasis import EigenbasisEngine
from tlx.linear.flow_path import path
from tlx.linear.setting import LinearSetting
from tlx.linear.task import LinearPair
from tlx.train import Status


class Flow(EigenbasisEngine):
    """Ends of gradient flow; every run converges, in no steps."""

    name = "flow"

    def check(self, setting: LinearSetting) -> None:
        """Refuse rules without this flow, and starts away from the limit."""
        for rule in (setting.pretrain, setting.scratch, setting.fine_tune):
            chains.check_rule(rule)
        if setting.depth > 1:
            chains.check_start(setting.init_scale, setting.depth)
        eigenbasis.check_all_weights(setting, self.name)
        require(
            setting.batch_size is None,
            f"batch_size = {setting.batch_size}: gradient flow sees the whole sample; use engine full or spectral.",
        )
        require(
            Protocol.LAYERWISE_L2SP not in setting.protocols,
            "protocols holds layerwise_l2sp, whose end has no closed form here; use engine full or spectral.",
        )

    def extra(self, setting: LinearSetting, key: Array, modes: Modes) -> Float[Array, " d"]:
        """The end of fine-tuning if it has weight decay, in the eigenbasis: the source is forgotten."""
        return flow_end.decayed_endpoint(modes, setting.depth, setting.fine_tune.weight_decay)

    def scratch(self, setting: LinearSetting, prepared: Prepared, weight_decay: Array, risk: Risk) -> Trained:
        """The end of the flow from alpha -> 0."""
        basis, modes = prepared.state.decomposition
        end = flow_end.decayed_endpoint(modes, setting.depth, weight_decay)
        return self._ended(setting, prepared, eigenbasis.scratch_start, basis @ end, weight_decay, risk)

    def pretrain(
        self,
        setting: LinearSetting,
        prepared: Prepared,
        pair: LinearPair,
        *,
        observe: Callable[[PyTree], PyTree] | None = None,
        record_at: tuple[int, ...] = (),
    ) -> Trained:
        """The balanced chain of the source itself, or of the fit of its sample."""
        require(observe is None, "engine flow takes no steps to watch; use engine full or spectral.")
        modes, basis = eigenbasis.source_modes(prepared, pair.source)
        learned = flow_end.decayed_endpoint(modes, setting.depth, setting.pretrain.weight_decay)
        learned = learned if basis is None else basis @ learned
        return _done(chains.balanced(learned, setting.depth), learned, None)

    def fine_tune(self, setting: LinearSetting, prepared: Prepared, source: Trained, risk: Risk) -> Trained:
        """The end of the flow from the pretrained chain: with weight decay it forgets where it came from."""
        basis, modes = prepared.state.decomposition
        depth, decay = setting.depth, jnp.asarray(setting.fine_tune.weight_decay)
        kept = flow_end.endpoint(modes, basis.T @ source.predictor, depth)
        end = basis @ jnp.where(decay > 0, prepared.state.extra, kept)
        return self._ended(setting, prepared, lambda *_: source.network, end, decay, risk)

    def anchored(self, setting: LinearSetting, prepared: Prepared, source: Trained, penalty: Array) -> Trained:
        """Refused by `check`."""
        raise ValueError("engine flow has no end for layerwise_l2sp; use engine full or spectral.")

    def pulled(self, setting: LinearSetting, prepared: Prepared, source: Trained, modes: Modes) -> Trained:
        """The end of the flow on other modes."""
        basis = prepared.state.decomposition.basis
        return _done(None, basis @ flow_end.endpoint(modes, basis.T @ source.predictor, setting.depth), None)

    def _ended(
        self, setting: LinearSetting, prepared: Prepared, begin: Callable, end: Array, decay: Array, risk: Risk
    ) -> Trained:
        """A run that starts at `begin(setting, prepared)` and ends at the predictor `end`, with its risk over time."""
        if not setting.times:
            return _done(None, end, None)
        basis, modes = prepared.state.decomposition
        chain, times = chains.turned(begin(setting, prepared), basis.T), jnp.asarray(setting.times)
        curve = path(modes, chain, setting.depth, times, lambda beta: risk(basis @ beta), weight_decay=decay)
        return _done(None, end, curve)

    def head_over_time(
        self, setting: LinearSetting, prepared: Prepared, source: Trained, risk: Risk
    ) -> Float[Array, " t"]:
        """The last layer alone on the chain's feature: a network of depth 1."""
        modes, outward = eigenbasis.head(setting, prepared, source.network)
        if not setting.times:
            return jnp.zeros(0, modes.cross.dtype)
        zero = Chain(jnp.zeros_like(modes.cross), jnp.zeros_like(modes.label_power))
        decay = 2 * jnp.asarray(setting.ridges, modes.cross.dtype)[0]
        return path(modes, zero, 1, jnp.asarray(setting.times), lambda w: risk(outward(w)), weight_decay=decay)


def _done(network: Chain | None, predictor: Float[Array, " d"], curve: PyTree) -> Trained:
    done, none = jnp.asarray(Status.CONVERGED, jnp.int32), jnp.asarray(0, jnp.int32)
    return Trained(network, predictor, done, none, curve)
