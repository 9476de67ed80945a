"""The explorer's risk over training time, integrated in the browser, is that of tlx.theory: two ways to one number."""

import numpy as np
import pytest

from tlx import theory

TIMES = [0.0, 0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0]
CASES = [
    # theta, ratio, noise, depth, targetNorm, sourceNorm, sourceRatio, sourceNoise
    (0.7, 0.5, 0.5, 2, 1.0, 1.0, None, 0.0),
    (1.2, 0.5, 1.0, 3, 1.0, 1.0, None, 0.0),
    (0.4, 1.3, 0.5, 2, 2.0, 1.0, 1.5, 0.5),
    (2.0, 0.3, 0.2, 4, 1.0, 0.7, 0.5, 0.3),
    (0.9, 2.0, 0.3, 2, 1.0, 1.0, None, 0.0),
]


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["scratch", "linear_transfer", "fine_tuning"])
def test_risk_over_time(page, x64, protocol):
    for theta, ratio, noise, depth, norm, source_norm, source_ratio, source_noise in CASES:
        expected = theory.risk_over_time(
            protocol, np.array(TIMES), theta, ratio, noise, depth=depth, target_norm=norm, source_norm=source_norm,
            source_ratio=source_ratio or np.inf, source_noise_std=source_noise, init_scale=0.05,
        )  # fmt: skip
        settings = {
            "theta": theta, "ratio": ratio, "noise": noise, "depth": depth, "targetNorm": norm, "initScale": 0.05,
            "sourceNorm": source_norm, "sourceRatio": source_ratio, "sourceNoise": source_noise,
        }  # fmt: skip
        script = "return window.tlx.riskOverTime(arguments[0], arguments[1], arguments[2]);"
        found = np.array(page.run(script, protocol, TIMES, settings))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
