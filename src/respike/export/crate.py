"""A finished run as a Workflow Run RO-Crate: workflow, config, inputs, results and every job, as JSON-LD beside the files.

Profile: https://w3id.org/ro/wfrun/workflow/0.5. All that it says comes from the records beside the results (`.made`).
"""

import json
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from respike.core import files

RESULTS = Path("results")
WORKFLOW = Path("workflow/Snakefile")
SOURCES = ("Snakefile", "config.yaml", "requirements.lock", "LICENSE", "README.md", "workflow", "src")
PROFILES = (
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
)
TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # the profile's words beside those of RO-Crate, sha256 among them
FORMATS = {
    ".json": "application/json",
    ".csv": "text/csv",
    ".html": "text/html",
    ".png": "image/png",
    ".pdf": "application/pdf",
    ".parquet": "application/vnd.apache.parquet",
    ".npz": "application/zip",
    ".pt": "application/zip",
}


class Job(NamedTuple):
    """One job of the run, put together from the records of the files that it wrote."""

    stage: str
    arguments: tuple[str, ...]
    record: dict[str, Any]
    outputs: list[Path]

    @property
    def start(self) -> datetime:
        """When it began."""
        return datetime.fromisoformat(self.record["time"])

    @property
    def end(self) -> datetime:
        """When it had written its last file."""
        return self.start + timedelta(seconds=self.record.get("cost", {}).get("wall_s", 0))


def write(target: Path) -> str:
    """The finished run in `results` as a Workflow Run RO-Crate in the new folder `target`.

    Raises ValueError when there is no finished run here, or a result was changed since it was written.
    """
    from rocrate.rocrate import ROCrate  # noqa: PLC0415  (half a second, and no job needs it)

    jobs = finished_jobs()
    if target.exists() and any(target.iterdir()):
        raise ValueError(f"{target} is not empty; name a new folder")
    crate = ROCrate(version="1.1")  # that of the profile
    crate.metadata.extra_contexts.append(TERMS)
    describe(crate, jobs)
    for name in SOURCES:
        copy_sources(crate, Path(name))
    known = {path: add_result(crate, path, job) for job in jobs for path in job.outputs}
    brought = {}
    for job in jobs:
        for name, content in job.record["inputs"].items():
            if Path(name) not in known and name not in brought:
                brought[name] = crate.get(name) or add_input(crate, name, content)
    workflow = crate.mainEntity
    action = crate.add_action(
        workflow,
        identifier="#run",
        object=[crate.get("config.yaml"), *brought.values()],
        result=list(known.values()),
        properties={"name": f"Run of respike: {len(jobs)} jobs", **times(jobs)},
    )
    crate.root_dataset.append_to("mentions", action)
    for number, job in enumerate(jobs):
        add_job(crate, number, job, known, brought)
    crate.write(target)
    return f"{len(known)} results of {len(jobs)} jobs: {target}/ro-crate-metadata.json"


def finished_jobs(results: Path = RESULTS) -> list[Job]:
    """Jobs that wrote the files in `results`, in the order of their start. Every file is compared with its record."""
    outputs = defaultdict(list)
    records: dict[tuple, dict] = {}
    for place in sorted(results.rglob(".made/*.json")):
        path = place.parent.parent / place.name.removesuffix(".json")
        if ".partial" in path.parts:
            continue
        record = files.read_record(files.checked(path))
        key = (record["stage"], tuple(record["arguments"]))
        outputs[key].append(path)
        longest = max(records.get(key, record), record, key=lambda one: one.get("cost", {}).get("wall_s", 0))
        records[key] = longest
    if not outputs:
        raise ValueError(f"{results.absolute()} holds no finished run; `python -m respike run` makes one")
    found = [Job(*key, records[key], made) for key, made in outputs.items()]
    return sorted(found, key=lambda job: (job.start, job.stage, job.arguments))


def describe(crate, jobs: list[Job]) -> None:
    """What the crate is, who may use it, and the workflow that made it."""
    crate.name = "Results of respike: six studies of recurrent spiking networks"
    crate.description = "Data, fits, spikes, measures, figures and scorecard of one run of the workflow, with the workflow itself."
    crate.license = "https://spdx.org/licenses/MIT"
    crate.datePublished = max(job.end for job in jobs)
    profiles = [{"@id": profile, "@type": "CreativeWork", "name": profile.split("/")[-2]} for profile in PROFILES]
    crate.root_dataset["conformsTo"] = [crate.add_jsonld(profile) for profile in profiles]
    versions = jobs[0].record["versions"]
    workflow = crate.add_workflow(WORKFLOW, WORKFLOW, main=True, lang="snakemake", properties={"name": "respike workflow"})
    workflow["version"] = versions["respike"]
    workflow["softwareRequirements"] = [crate.add_jsonld(entity) for entity in requirements(jobs)]


def requirements(jobs: list[Job]) -> list[dict]:
    """Exact versions of Python and of the packages that set the numbers."""
    versions = {name: version for job in jobs for name, version in job.record["versions"].items() if name != "respike"}
    return [
        {"@id": f"#{name}-{version}", "@type": "SoftwareApplication", "name": name, "softwareVersion": version}
        for name, version in sorted(versions.items())
    ]


def copy_sources(crate, name: Path) -> None:
    """Add a file of the project, or every file of a folder but caches."""
    paths = sorted(name.rglob("*")) if name.is_dir() else [name]
    for path in paths:
        if path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path) and path != WORKFLOW:
            crate.add_file(path, path, properties={"name": str(path), **media(path), **kind(path)})


def kind(path: Path) -> dict[str, list[str]]:
    """What a file is besides a file: a stage is a program."""
    return {"@type": ["File", "SoftwareSourceCode"]} if path.parent.name == "stages" else {}


def media(path: Path) -> dict[str, str]:
    """The format of a file, where it has a name."""
    return {"encodingFormat": FORMATS[path.suffix]} if path.suffix in FORMATS else {}


def add_result(crate, path: Path, job: Job):
    """A file that the run made, with its digest."""
    record = files.read_record(path)
    facts = {"name": str(path), "sha256": record["sha256"], "contentSize": str(record["bytes"]), **media(path)}
    return crate.add_file(path, path, properties={**facts, "dateModified": job.end.isoformat()})


def add_input(crate, name: str, content: str):
    """A file that the run read and did not make: known by its digest, and not copied."""
    path = Path(name)
    about = {"@id": f"#input-{content[:16]}", "@type": "CreativeWork", "name": path.name, "identifier": f"sha256:{content}"}
    return crate.add_jsonld({**about, "description": f"{name}, brought by the user and not part of this crate"})


def times(jobs: list[Job]) -> dict[str, str]:
    """Beginning and end of some jobs."""
    return {
        "startTime": min(job.start for job in jobs).isoformat(),
        "endTime": max(job.end for job in jobs).isoformat(),
    }


def add_job(crate, number: int, job: Job, known: dict, brought: dict) -> None:
    """One job: the stage's program, its command line, and the files it read and wrote."""
    study, _, stage = job.stage.partition(".")
    program = crate.get(f"src/respike/{study}/stages/{stage}.py")
    cost = job.record.get("cost", {})
    about = f"python -m respike {job.stage} {' '.join(job.arguments)}"
    action = crate.add_action(
        program,
        identifier=f"#job-{number}",
        object=[known.get(Path(name)) or brought[name] for name in job.record["inputs"]],
        result=[known[path] for path in job.outputs],
        properties={"name": job.stage, "description": about, **times([job]), "disambiguatingDescription": json.dumps(cost)},
    )
    crate.root_dataset.append_to("mentions", action)
