"""A finished run as a Workflow Run RO-Crate: workflow, config, inputs, results and every job, as JSON-LD beside the files.

Profile: https://w3id.org/ro/wfrun/workflow/0.5. All that it says comes from the records beside the results (`.made`).
"""

import argparse
import importlib.metadata
import json
import shlex
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from respike import fingerprint
from respike.core import files
from respike.workflow import plan, verify

WORKFLOW = Path("workflow/Snakefile")
CONFIG = Path("config.yaml")
PROJECT = ("Snakefile", "Makefile", "pyproject.toml", "requirements.lock", "environment.yml", "LICENSE", "README.md")
SOURCES = (*PROJECT, "config.yaml", "workflow", "profiles", "src")  # enough to run it again
PROFILES = (
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
)
LICENSE = {"@id": "https://spdx.org/licenses/MIT", "@type": "CreativeWork", "name": "MIT"}
TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # the profile's words beside those of RO-Crate, sha256 among them
FORMATS = {
    ".cpp": "text/x-c",
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".h": "text/x-c",
    ".h5": "application/x-hdf5",
    ".html": "text/html",
    ".json": "application/json",
    ".mat": "application/x-matlab-data",
    ".md": "text/markdown",
    ".npz": "application/zip",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".pt": "application/zip",
    ".py": "text/x-python",
    ".rst": "text/x-rst",
    ".yaml": "application/yaml",
}
TEXTS = {"", ".lock", ".mplstyle", ".sh", ".smk", ".toml", ".txt"}  # all else is told as bytes


class Job(NamedTuple):
    """One job of the run, put together from the records of the files that it wrote."""

    stage: str
    arguments: tuple[str, ...]
    record: dict[str, Any]  # that of the last of its files
    outputs: tuple[Path, ...]

    @property
    def start(self) -> datetime:
        """When it began."""
        return datetime.fromisoformat(self.record["time"]).astimezone(UTC)

    @property
    def end(self) -> datetime:
        """When it had written its last file."""
        before = self.record.get("cost_before", {}).get("wall_s", 0)  # of the work that was cut off, before this start
        return self.start + timedelta(seconds=self.record["cost"]["wall_s"] - before)

    @property
    def program(self) -> str:
        """The file that it ran."""
        return f"src/{fingerprint.module(self.stage).replace('.', '/')}.py"


def write(folder: Path, *, targets: Sequence[str] = (), configfile: Sequence[str] = (), author: str = "") -> str:
    """The finished run in `results` as a Workflow Run RO-Crate in the new folder FOLDER.

    --targets and --configfile: those of the run. The files that were laid over config.yaml are put beside it.
    --author: who stands behind the run; without it, whose account it was.
    Raises ValueError when a file of the run is not what it should be.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; name a new folder")
    jobs = finished_jobs(argparse.Namespace(targets=targets, configfile=configfile, config=[]))
    from rocrate.rocrate import ROCrate  # noqa: PLC0415  (half a second, and no job needs it)

    crate = ROCrate(version="1.1")  # that of the profile
    crate.metadata.extra_contexts.append(TERMS)
    agent = describe(crate, jobs, author)
    programs = {job.program: job.record["code"] for job in jobs}
    for path in sources(map(Path, SOURCES)):
        add_source(crate, path, programs.get(str(path), ""))
    configs = [crate.get(str(CONFIG)), *(add_file(crate, path, f"config/{path.name}") for path in map(Path, configfile))]
    made = {path: add_result(crate, path, job) for job in jobs for path in job.outputs}
    brought = add_inputs(crate, jobs, made)
    about = {"name": "Run of respike", "description": f"{len(jobs)} jobs", "agent": agent}
    add_action(crate, "#run", crate.mainEntity, jobs, about, [*configs, *brought.values()], list(made.values()))
    for number, job in enumerate(jobs):
        read = [made.get(Path(name)) or brought[name] for name in job.record["inputs"]]
        line = f"python -m respike {job.stage} {shlex.join(job.arguments)}"
        about = {"name": job.stage, "description": line, "agent": agent}
        add_action(crate, f"#job-{number}", crate.get(job.program), [job], about, read, [made[path] for path in job.outputs])
    crate.write(folder)
    return f"{len(made)} files of {len(jobs)} jobs, told in {folder}/ro-crate-metadata.json"


def finished_jobs(run: argparse.Namespace) -> list[Job]:
    """Jobs of the present config in the order of their start; ValueError when one of their files is not what it should be."""
    graph = plan.graph(run)
    faults = list(verify.faults(graph).values())
    if faults:
        raise ValueError(f"the run is not finished ({len(faults)} files): {faults[0]}; `python -m respike run` makes it")
    jobs = []
    for job in graph.jobs:
        outputs = tuple(map(Path, job.outputs))
        records = [files.read_record(path) for path in outputs]
        last = max(records, key=lambda record: record["cost"]["wall_s"])
        jobs.append(Job(job.stage, job.arguments, last, outputs))
    return sorted(jobs, key=lambda job: (job.start, job.stage, job.arguments))


def describe(crate, jobs: list[Job], author: str):
    """What the crate is, who may use it, the workflow that made it; the entity of who ran it is returned."""
    crate.name = "Results of respike: six studies of recurrent spiking networks"
    crate.description = (
        "Data, fits, spikes, measures, figures and scorecard of one run of the workflow, with the workflow itself."
    )
    crate.license = crate.add_jsonld({**LICENSE})
    crate.datePublished = max(job.end for job in jobs)
    name = author or jobs[-1].record["host"]["user"]
    agent = crate.add_jsonld({"@id": "#author", "@type": "Person", "name": name})
    crate.root_dataset["author"] = agent
    profiles = [{"@id": profile, "@type": "CreativeWork", "name": profile.split("/")[-2]} for profile in PROFILES]
    crate.root_dataset["conformsTo"] = [crate.add_jsonld(profile) for profile in profiles]
    about = {"name": "respike workflow", "version": jobs[0].record["versions"]["respike"], "url": str(WORKFLOW)}
    properties = {**about, **facts(WORKFLOW)}
    workflow = crate.add_workflow(WORKFLOW, WORKFLOW, main=True, lang="snakemake", properties=properties)
    workflow["softwareRequirements"] = [crate.add_jsonld(entity) for entity in requirements(jobs)]
    return agent


def requirements(jobs: list[Job]) -> list[dict]:
    """Exact versions of Python and of the packages that set the numbers."""
    versions = {pair for job in jobs for pair in job.record["versions"].items() if pair[0] != "respike"}
    return [
        {"@id": f"{home(name)}#{name}-{version}", "@type": "SoftwareApplication", "name": name}
        | {"softwareVersion": version, "url": home(name)}
        for name, version in sorted(versions)
    ]


def home(package: str) -> str:
    """Where a package is at home on the web, as it says itself."""
    if package == "python":
        return "https://www.python.org"
    told = importlib.metadata.metadata(fingerprint.DISTRIBUTION.get(package, package))
    lines = [told.get("Home-page") or "", *(line.rpartition(" ")[2] for line in told.get_all("Project-URL") or [])]
    return next((line for line in lines if line.startswith("http")), f"#{package}")


def sources(names: Iterable[Path]) -> list[Path]:
    """Files of the project, and every file of its folders but what was made on this machine; the workflow stands alone."""
    paths = [path for name in names for path in (sorted(name.rglob("*")) if name.is_dir() else [name])]
    made_here = ("__pycache__", ".egg-info")
    return [path for path in paths if path.is_file() and path != WORKFLOW and not any(part in str(path) for part in made_here)]


def add_file(crate, path: Path, name: str = "", **more: Any):
    """A file of the project, known in the crate by `name`, or else by its path here."""
    return crate.add_file(path, name or path, properties={"name": name or str(path), **facts(path), **more})


def add_source(crate, path: Path, code: str) -> None:
    """A file of the project; what jobs have run is a program, with the fingerprint of all its code as version."""
    program = {"@type": ["File", "SoftwareSourceCode"], "version": code, "url": str(path)} if code else {}
    about = {"about": crate.root_dataset} if str(path) == "README.md" else {}
    add_file(crate, path, **program, **about)


def facts(path: Path, content: str = "") -> dict[str, str]:
    """Format, size and digest of a file."""
    kind = FORMATS.get(path.suffix, "text/plain" if path.suffix in TEXTS else "application/octet-stream")
    return {"encodingFormat": kind, "contentSize": str(path.stat().st_size), "sha256": content or files.digest(path)}


def add_result(crate, path: Path, job: Job):
    """A file that the run made, as its record tells it."""
    record = files.read_record(path)
    about = {"name": str(path), **facts(path, record["sha256"]), "dateModified": when(job.end)}
    return crate.add_file(path, path, properties=about)


def add_inputs(crate, jobs: list[Job], made: dict) -> dict[str, Any]:
    """Files that jobs read and none made: of the project, or else brought by the user, known by digest and not copied."""
    contents = {name: content for job in jobs for name, content in job.record["inputs"].items() if Path(name) not in made}
    return {
        name: crate.get(name) or crate.add_jsonld({"@id": f"#input-{number}", **brought(name, content)})
        for number, (name, content) in enumerate(sorted(contents.items()))
    }


def brought(name: str, content: str) -> dict[str, str]:
    """A file of the user in words: its digest, or size and time where that is how it is known (`provenance.content`)."""
    known = content if " " in content else f"sha256:{content}"
    about = {"@type": "CreativeWork", "name": Path(name).name, "identifier": known}
    return {**about, "description": f"{name}, brought by the user, not part of this crate"}


def add_action(crate, name: str, program, jobs: list[Job], about: dict, read: list, written: list) -> None:
    """What was run: the whole run with the workflow, or one job with its stage; what it read and wrote, when, at what cost."""
    costs = {unit: round(sum(job.record["cost"][unit] for job in jobs), 2) for unit in ("cpu_s", "wall_s")}
    properties = {
        **about,
        "startTime": when(min(job.start for job in jobs)),
        "endTime": when(max(job.end for job in jobs)),
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "disambiguatingDescription": json.dumps(costs),
    }
    action = crate.add_action(program, identifier=name, object=one(read), result=one(written), properties=properties)
    crate.root_dataset.append_to("mentions", action)


def when(time: datetime) -> str:
    """A time as the profile writes it."""
    return time.isoformat(timespec="seconds")


def one(values: list) -> Any:
    """A single value stands alone in JSON-LD."""
    return values[0] if len(values) == 1 else values
