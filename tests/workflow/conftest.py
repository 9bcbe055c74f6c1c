"""A finished run of the study in miniature, once per session, and copies of it to spoil."""

import shutil

import pytest

from tests.workflow import bed


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A project whose study in miniature has run."""
    folder = bed.miniature(tmp_path_factory.mktemp("finished") / "project")
    done = bed.respike(folder, "run", "mini", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def project(finished, tmp_path):
    """A copy of the finished project, times and Snakemake's memory included."""
    return shutil.copytree(finished, tmp_path / "project")
