"""What all property tests share: the same few examples in every run, and nothing that hypothesis keeps in the project."""

import os
import tempfile
from pathlib import Path

import hypothesis
from hypothesis import configuration

configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / f"respike-hypothesis-{os.getuid()}")
hypothesis.settings.register_profile(
    "respike",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=25,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("respike")
few = hypothesis.settings(max_examples=5)  # for what writes files
