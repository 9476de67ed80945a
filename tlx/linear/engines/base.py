"""What an engine is: it carries the protocols of `tlx.linear` out on one source/target pair.

    check(setting)                                refuse, before any compute, what the engine cannot do
    prepare(setting, key, num_samples)            -> (Prepared, ScratchReport)   once per target data set
    pretrain(setting, prepared, pair)             -> Trained                     once per pair
    transfer(setting, prepared, overlap_angle)    -> TransferReport              once per pair

These four, and what goes into a report, stand here once. An engine fills in the methods below them: how it keeps a
data set, and how it trains from scratch, from a source, all layers, or the last one.
"""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from tlx import _keys
from tlx._checks import check_angle, check_count, concrete
from tlx.glossary import Protocol
from tlx.linear import batches, data
from tlx.linear import task as tasks
from tlx.linear.data import Moments
from tlx.linear.probe import LinearProbe
from tlx.linear.reports import PenalisedReport, ScratchReport, TransferReport
from tlx.linear.setting import PENALISED, LinearSetting
from tlx.linear.steps import stable_learning_rate
from tlx.linear.task import LinearPair
from tlx.train import usable

NOT_RUN = -1  # the status of a protocol that was not asked for
Risk = Callable[[Float[Array, " d"]], Float[Array, ""]]  # of a predictor in coordinates


class Prepared(NamedTuple):
    """One target data set: what all angles share.

    Attributes:
        key: of the instance.
        own: key of this target data set.
        spectrum: input covariance eigenvalues.
        target: beta_t.
        moments: of the target sample.
        rows: its inputs and labels, padded to the setting's max_samples; None where no mini-batch is drawn.
        state: what the engine itself keeps of it.
    """

    key: Array
    own: Array
    spectrum: Float[Array, " d"]
    target: Float[Array, " d"]
    moments: Moments
    rows: tuple[Float[Array, "n d"], Float[Array, " n"]] | None
    state: Any


class Trained(NamedTuple):
    """Where one training run ended.

    Attributes:
        network: the engine's own form of it: all weights, or a chain in coordinates.
        predictor: beta, what the network computes.
        status, num_steps: of the run.
        curve: what was recorded, over its steps or times (None: nothing).
    """

    network: PyTree
    predictor: Float[Array, " d"]
    status: Int[Array, ""]
    num_steps: Int[Array, ""]
    curve: PyTree


class Engine(abc.ABC):
    """One way to train a deep linear source/target pair; it has no state, and one instance (`engine(name)`)."""

    name: str

    def check(self, setting: LinearSetting) -> None:  # noqa: B027 - an engine that can do everything refuses nothing
        """Refuse, before any compute, what this engine cannot do."""

    def prepare(
        self, setting: LinearSetting, key: Array, num_samples: Int[Array, ""] | int
    ) -> tuple[Prepared, ScratchReport]:
        """Draw the target sample of `num_samples` rows and train from scratch on it, once per weight decay."""
        prepared = self.draw(setting, key, num_samples)

        def on_target(predictor):
            return tasks.risk(predictor, prepared.target, prepared.spectrum)

        def run(weight_decay):
            end = self.scratch(setting, prepared, weight_decay, on_target)
            risk = jnp.where(usable(end.status), on_target(end.predictor), jnp.nan)
            return risk, end.status, end.num_steps, _over_time(end, risk.dtype)

        decays = jnp.asarray(setting.weight_decays, prepared.moments.cross.dtype)
        risk, status, num_steps, curves = _each(run, decays)
        report = ScratchReport(
            risk=risk,
            status=status,
            num_steps=num_steps,
            stable_learning_rate=stable_learning_rate(setting, prepared.moments, self.top_eigenvalue(prepared)),
            risk_over_time=curves,
        )
        return prepared, report

    def draw(self, setting: LinearSetting, key: Array, num_samples: Int[Array, ""] | int) -> Prepared:
        """The target sample alone, with what the engine keeps of it; nothing is trained."""
        self.check(setting)
        if concrete(num_samples) is not None:
            check_count("num_samples", int(num_samples))
        spectrum = tasks.power_law_spectrum(setting.dim, setting.covariance_exponent)
        target = tasks.linear_pair(key, 0.0, spectrum, target_norm=setting.target_norm).target
        own = _keys.lane(_keys.named(key, "data set"), num_samples)
        stream = _keys.named(own, "target data")
        moments = data.sample_moments(stream, target, spectrum, setting.noise_std, num_samples)
        rows = None
        if setting.batch_size is not None:
            rows = batches.rows(setting, stream, target, spectrum, num_samples)
        prepared = Prepared(key, own, spectrum, target, moments, rows, None)
        return prepared._replace(state=self.keep(setting, prepared))

    def pair(self, setting: LinearSetting, prepared: Prepared, overlap_angle: float | Array) -> LinearPair:
        """The source/target pair at an angle."""
        norms = {"target_norm": setting.target_norm, "source_norm": setting.source_norm}
        return tasks.linear_pair(prepared.key, overlap_angle, prepared.spectrum, **norms)

    def transfer(self, setting: LinearSetting, prepared: Prepared, overlap_angle: float | Array) -> TransferReport:
        """Pretrain on the source at this angle, then probe and fine-tune on the prepared target sample."""
        check_angle("overlap_angle", overlap_angle)
        pair = self.pair(setting, prepared, overlap_angle)
        return self.transfer_from(setting, prepared, pair, self.pretrain(setting, prepared, pair))

    def transfer_from(
        self, setting: LinearSetting, prepared: Prepared, pair: LinearPair, source: Trained
    ) -> TransferReport:
        """Probe and fine-tune a pretrained network on the prepared target sample."""

        def on_target(predictor):
            return tasks.risk(predictor, pair.target, pair.spectrum)

        probe = self.probe(setting, prepared, source)
        tuned = self._fine_tuned(setting, prepared, source, on_target)
        ready = usable(source.status)
        status = jnp.where(ready, tuned.status, source.status)
        source_risk = tasks.risk(source.predictor, pair.source, pair.spectrum)
        head = self.head_over_time(setting, prepared, source, on_target)
        return TransferReport(
            linear_transfer_risk=jnp.where(ready, jax.vmap(on_target)(probe.predictors), jnp.nan),
            fine_tuning_risk=jnp.where(usable(status), on_target(tuned.predictor), jnp.nan),
            source_risk=jnp.where(ready, source_risk, jnp.nan),
            num_features=probe.num_features,
            linear_transfer_status=source.status,
            fine_tuning_status=status,
            fine_tuning_steps=tuned.num_steps,
            pretrain_steps=source.num_steps,
            linear_transfer_over_time=jnp.where(ready, head, jnp.nan),
            fine_tuning_over_time=jnp.where(ready, _over_time(tuned, source_risk.dtype), jnp.nan),
            pretrained_norm=jnp.linalg.norm(source.predictor),
            pretrained_overlap=source.predictor @ pair.target,
            penalised={
                str(protocol): self._penalised(protocol, setting, prepared, source, on_target)
                for protocol in setting.protocols
                if protocol in PENALISED
            },
        )

    def _fine_tuned(self, setting: LinearSetting, prepared: Prepared, source: Trained, risk: Risk) -> Trained:
        """Fine-tuning, or NaN and NOT_RUN where that is not among the protocols."""
        if Protocol.FINE_TUNING in setting.protocols:
            return self.fine_tune(setting, prepared, source, risk)
        nowhere = jnp.full_like(source.predictor, jnp.nan)
        return source._replace(predictor=nowhere, status=jnp.full_like(source.status, NOT_RUN), curve=None)

    def _penalised(
        self, protocol: str, setting: LinearSetting, prepared: Prepared, source: Trained, risk: Risk
    ) -> PenalisedReport:
        """One penalised protocol at each of its penalties."""

        def run(penalty):
            end = self.penalise(protocol, setting, prepared, source, penalty)
            status = jnp.where(usable(source.status), end.status, source.status)
            return PenalisedReport(
                risk=jnp.where(usable(status), risk(end.predictor), jnp.nan), status=status, num_steps=end.num_steps
            )

        return jax.lax.map(run, jnp.asarray(setting.penalties(protocol), source.predictor.dtype))

    @abc.abstractmethod
    def keep(self, setting: LinearSetting, prepared: Prepared) -> Any:
        """What the engine keeps of a target data set (`Prepared.state`): decompositions, starts; or nothing."""

    @abc.abstractmethod
    def scratch(self, setting: LinearSetting, prepared: Prepared, weight_decay: Array, risk: Risk) -> Trained:
        """Train from a fresh start on the target sample; the curve is the risk at the times of the setting."""

    @abc.abstractmethod
    def pretrain(
        self,
        setting: LinearSetting,
        prepared: Prepared,
        pair: LinearPair,
        *,
        observe: Callable[[PyTree], PyTree] | None = None,
        record_at: tuple[int, ...] = (),
    ) -> Trained:
        """The source network: trained on the population loss or on a source sample, or placed at its limit.

        `observe(network)` is recorded at the step numbers `record_at`, as in `tlx.train.train`.
        """

    @abc.abstractmethod
    def probe(self, setting: LinearSetting, prepared: Prepared, source: Trained) -> LinearProbe:
        """Linear transfer on the features of a pretrained network, at every ridge of the setting."""

    @abc.abstractmethod
    def fine_tune(self, setting: LinearSetting, prepared: Prepared, source: Trained, risk: Risk) -> Trained:
        """Train every layer on from a pretrained network; the curve is the risk at the times of the setting."""

    @abc.abstractmethod
    def penalise(
        self, protocol: str, setting: LinearSetting, prepared: Prepared, source: Trained, penalty: Array
    ) -> Trained:
        """One of the protocols `PENALISED` at one penalty, from a pretrained network."""

    @abc.abstractmethod
    def head_over_time(
        self, setting: LinearSetting, prepared: Prepared, source: Trained, risk: Risk
    ) -> Float[Array, " t"]:
        """Risk while the last layer alone is trained from zero on the frozen features, at the times of the setting."""

    def top_eigenvalue(self, prepared: Prepared) -> Float[Array, ""] | None:
        """The largest eigenvalue of X^T X / n, where it is known."""
        return None


def _each(run: Callable[[Array], PyTree], values: Float[Array, " k"]) -> PyTree:
    """`run` of every value: one after another on a CPU, where each really stops; side by side on accelerators."""
    if values.shape[0] == 1:
        return jax.tree.map(lambda leaf: leaf[None], run(values[0]))
    return jax.lax.platform_dependent(values, cpu=lambda v: jax.lax.map(run, v), default=jax.vmap(run))


def _over_time(run: Trained, dtype: jnp.dtype) -> Float[Array, " t"]:
    """The recorded risks of a run; NaN if it failed, empty if nothing was recorded."""
    return jnp.zeros(0, dtype) if run.curve is None else jnp.where(usable(run.status), run.curve, jnp.nan)
