"""The pages: numbers equal the published files, links lead somewhere, and what they tell the reader to type works."""

import ast
import re
from pathlib import Path

import pytest

from respike import stage
from respike.report import markdown, marks, published
from tests import small

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
STUDIES = sorted(path.parent.name for path in (ROOT / "src" / "respike").glob("*/claims.csv"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OVERVIEW = [page for page in [RESULTS / "README.md"] if page.exists()]
with_results = pytest.mark.skipif(not OVERVIEW, reason="no results are published: make reproduce, then make publish")
HEADINGS = [
    "The question",
    "The model in a picture",
    "The claim",
    "What we found",
    "What differs and why",
    "Faults in the published program",
    "Your own data",
    "Limits",
]
BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>bash|python) run\n(?P<code>.*?)^ *```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    """The code in `page` that is marked to be run, as the reader would copy it."""
    found = [match for match in BLOCK.finditer(page.read_text()) if match["language"] == language]
    return [re.sub(f"^{match['indent']}", "", match["code"], flags=re.MULTILINE) for match in found]


def named(pages_or_files: list[Path]) -> dict:
    return {"argvalues": pages_or_files, "ids": lambda path: str(path.relative_to(ROOT))}


@with_results
@pytest.mark.parametrize("page", **named(marks.pages([ROOT / "README.md", ROOT / "docs"])))
def test_marked_parts_are_those_of_the_published_files(page):
    assert marks.filled(page, RESULTS) == page.read_text(), f"{page.name} is out of date; run make publish"


@with_results
def test_the_overview_is_that_of_the_published_files():
    assert markdown.overview(RESULTS) == (RESULTS / "README.md").read_text()


@with_results
@pytest.mark.parametrize("page", **named([*PAGES, *OVERVIEW]))
def test_links_and_pictures_are_there(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not re.match(r"https?://|mailto:|#", target):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("study", STUDIES)
def test_pages_of_studies_have_one_shape(study):
    text = re.sub(r"```.*?```", "", (ROOT / "docs" / f"{study}.md").read_text(), flags=re.DOTALL)
    assert text.startswith(f"# `{study}`: ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS


def test_published_files_are_small_and_name_no_place_on_a_disk():
    published.refuse_large(RESULTS)
    for path in RESULTS.rglob("*"):
        if path.suffix in {".csv", ".md"}:
            assert not re.search(r"(?<![\w.])/(?:home|root|tmp|work|users|mnt)/", path.read_text(), re.IGNORECASE), path


PYTHON = [(page, number) for page in PAGES for number in range(len(blocks(page, "python")))]


@pytest.mark.parametrize(("page", "number"), PYTHON, ids=[f"{page.stem}{number}" for page, number in PYTHON])
def test_python_of_the_pages_runs_and_its_claim_can_fail(page, number):
    tree = ast.parse(blocks(page, "python")[number])
    claim = tree.body[-1]
    assert isinstance(claim, ast.Assert), f"{page.name}: the last line has to claim something: {ast.unparse(claim)}"
    names: dict = {}
    exec(compile(tree, str(page), "exec"), names)
    read = {node.id for node in ast.walk(claim.test) if isinstance(node, ast.Name)}
    computed = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    assert read & computed, f"{page.name}: {ast.unparse(claim)} holds whatever was computed"


def test_all_python_of_the_pages_is_run():
    code = "".join(page.read_text() for page in PAGES)
    assert len(PYTHON) == len(re.findall(r"^ *```python", code, re.MULTILINE)) > 0


@pytest.mark.parametrize("page", **named(PAGES))
def test_stages_that_a_page_names_are_there(page):
    stages = {name for name, _ in stage.names()}
    of = "|".join([*STUDIES, "report"])
    called = set(re.findall(rf"respike ((?:{of})\.\w+)", page.read_text()))
    assert called - stages == set()


@pytest.mark.parametrize("page", **named([*PAGES, *sorted((ROOT / "workflow" / "report").glob("*.rst"))]))
def test_sources_that_a_page_names_are_there(page):
    for path in re.findall(r"`((?:[\w.-]+/)+[\w.-]*\.(?:py|smk|yaml|csv|md))`", page.read_text()):
        assert any((root / path).exists() for root in (ROOT, ROOT / "src" / "respike")), path


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory):
    """The project at the smallest size after what the README says to type."""
    folder = small.project(tmp_path_factory.mktemp("reader"))
    for command in blocks(ROOT / "README.md", "bash"):
        done = small.shell(folder, command)
        assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_examples_run_and_leave_a_picture(reproduced, study):
    done = small.shell(reproduced, f".venv/bin/python examples/{study}.py")
    assert done.returncode == 0, done.stderr
    assert (reproduced / f"{study}.png").stat().st_size > 1000
    assert done.stdout.strip()


@pytest.mark.parametrize("study", STUDIES)
def test_examples_are_short(study):
    code = re.sub(r'^""".*?"""', "", (ROOT / "examples" / f"{study}.py").read_text(), flags=re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) < 20


@pytest.mark.parametrize("study", STUDIES)
def test_examples_take_the_settings_of_the_run(study):
    """Those of the quick size stood in two of them, and of any other run they showed something else."""
    code = (ROOT / "examples" / f"{study}.py").read_text()
    assert re.findall(r"\b(?:Encoding|Lif|Network|Protocol|Simulation|Training|Wiring)\(", code) == []


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_commands_of_a_study_run(reproduced, study):
    commands = blocks(ROOT / "docs" / f"{study}.md", "bash")
    assert commands, f"docs/{study}.md has no block that is run"
    for command in commands:
        done = small.shell(reproduced, command)
        assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
