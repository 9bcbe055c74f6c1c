"""What the workflow rules of fsbi are asked for: which rules stand in which file, and what each stage is told of the config.

`config` is the block `fsbi` of the config, `folder` where the results of the study lie. A `part` is a folder of results of one
family of rules: round0, round1, ..., longevity, whole (all that the authors released) or example.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from respike.core import chunks
from respike.core.chunks import Range
from respike.fsbi.params import metrics_of

Config = Mapping[str, Any]
DATASET = {"surrogate": "surrogate", "simulate": "simulated", "released": "released"}
FIGURES = (  # of every family
    *("accumulation", "components", "protocol", "metrics", "correlations", "pairs", "longevity", "inference"),
    *("against_rate", "heat_maps"),
)
CPU_SECONDS = {"poly": 0.4, "mlp": 3.0}  # per simulated second of the full network at 20 Hz
FULL = 4096  # excitatory cells
DAY = 24 * 60  # minutes
FIRST = {"metrics": [], "aim": {}, "filter": {}, "thin": "none"}  # what a round says that has nothing to learn from
finished = cache(chunks.finished)  # what a run has made by and by does not change its plan


def check(config: Config) -> None:
    """ValueError that names key, value and what was expected, for what the schema cannot see."""
    for key, named in (("targets", config["targets"]), ("examine.condition", config["examine"]["condition"])):
        for name in sorted(set(named) - set(metrics_of("poly"))):  # poly has all there are
            _refuse(f"{key}.{name}", named[name], f"metrics are {', '.join(metrics_of('poly'))}")
    for family in config["networks"]:
        space, n_rounds = config[family], len(config[family]["schedule"])
        if space["rounds"] > n_rounds:
            _refuse(f"{family}.rounds", space["rounds"], f"schedule has only {n_rounds} entries; add one per round")
        for round, entry in enumerate(space["schedule"]):
            _check_round(family, round == 0, f"{family}.schedule[{round}]", entry, config["targets"])
        if space["hidden_file"] and family == "poly":
            _refuse("poly.hidden_file", space["hidden_file"], "only mlp rules have hidden layers; null")
        if space["data"] == "released" and len(space["released"]) < space["rounds"]:
            _refuse(f"{family}.released", space["released"], f"expected {space['rounds']} .npy files, one per round")
        if space["data"] == "released" and not space["released_longevity"]:
            _refuse(f"{family}.released_longevity", "", "expected the .npy file of the 20 minute simulations")


def _check_round(family: str, first: bool, key: str, entry: Config, targets: Config) -> None:
    if family == "mlp" and entry["thin_by"] == "mean_field":
        _refuse(f"{key}.thin_by", "mean_field", "only poly rules have mean-field coefficients; theta")
    for kind, name in [(part, name) for part in ("metrics", "aim", "filter") for name in entry[part]]:
        if name not in metrics_of(family):
            _refuse(f"{key}.{kind}", name, f"a network of {family} has {', '.join(metrics_of(family))}")
        if kind == "metrics" and name not in targets:
            _refuse(f"{key}.metrics", name, f"fsbi.targets has no aim for it; it has {', '.join(sorted(targets))}")
        if kind == "aim" and name not in entry["metrics"]:
            _refuse(f"{key}.aim", name, f"expected metrics that the round is conditioned on, {entry['metrics']}")
    for kind, nothing in FIRST.items():
        if entry[kind] != nothing and (first or (kind == "filter" and not entry["metrics"])):
            _refuse(f"{key}.{kind}", entry[kind], f"the first round and any without metrics have the prior; {nothing}")
    if entry["thin"] == "plausible" and not any(targets.get(name, {}).get("plausible") for name in metrics_of(family)):
        _refuse(f"{key}.thin", "plausible", "no metric in fsbi.targets has plausible bounds; expected aim, finite or none")
    if entry["thin"] == "aim" and not entry["metrics"]:
        _refuse(f"{key}.thin", "aim", "a round without metrics has no aim; expected metrics, or plausible, finite or none")


def _refuse(key: str, value: Any, expected: str) -> None:
    raise ValueError(f"config: fsbi.{key} = {value!r}: {expected}")


# -- files ------------------------------------------------------------------------------------------------------------


def ranges(config: Config, folder: str, family: str, part: str, kind: str) -> list[Range]:
    """First and last rule in each file of one kind, of a round or of the longevity test.

    Simulations are in order as long as drawn rules stand in the files that they were read from. These files therefore stay
    when fewer rules are asked for, and go by their records, which are there while a file is drawn again.
    """
    space, home = config[family], f"{folder}/{family}/{part}"
    asked = config["longevity"] if part == "longevity" else {**space, **space["schedule"][number(part)]}
    if kind == "rules":
        done = finished(f"{home}/.made", "parquet.json").get(kind, [])
        return chunks.ranges(done, asked["rules"], space["draw"], beyond=True)
    return chunks.ranges(finished(home, "parquet").get(kind, []), asked["rules"], asked["chunk"])


def number(part: str) -> int:
    """Number of a round by the name of its folder; -1 for the longevity test, -2 for all that was released.

    >>> number("round3"), number("longevity"), number("whole")
    (3, -1, -2)
    """
    return {"longevity": -1, "whole": -2}[part] if part in ("longevity", "whole") else int(part.removeprefix("round"))


def drawn(config: Config, folder: str, family: str, part: str, first: int = 0, last: int | None = None) -> list[str]:
    """Files of drawn rules of a part, or of a chunk, which is given by its first and last number.

    None when the authors released what came of theirs.
    """
    if part == "whole" or config[family]["data"] == "released":
        return []
    lots = ranges(config, folder, family, part, "rules")
    held = [(a, b) for a, b in lots if b >= first and (last is None or a <= last)]
    return _named(f"{folder}/{family}/{part}/rules", held)


def rows(config: Config, folder: str, family: str, part: str, first: int, last: int) -> dict[str, int]:
    """The chunk among the rows of those files."""
    start = max(a for a, _ in ranges(config, folder, family, part, "rules") if a <= first)
    return {"first": first - start, "count": last - first + 1}


def _named(stem: str, lots: Iterable[Range]) -> list[str]:
    return [f"{stem}_{first}-{last}.parquet" for first, last in lots]


def results(config: Config, folder: str, family: str, part: str) -> list[str]:
    """Files that say what came of the rules of a part."""
    space = config[family]
    if part == "whole":
        return [space["released_whole"]]
    if space["data"] == "released":
        return [space["released_longevity"] if part == "longevity" else space["released"][number(part)]]
    kind = DATASET[space["data"]]
    return _named(f"{folder}/{family}/{part}/{kind}", ranges(config, folder, family, part, kind))


def dataset(config: Config, family: str, part: str) -> str:
    """Name of the data set, as it stands in every table and figure."""
    space = config[family]
    if part == "whole":
        return "released"
    size = f"{space['network']['n_e']} + {space['network']['n_i']} cells"
    return f"simulated network, {size}" if space["data"] == "simulate" else DATASET[space["data"]]


def tables(config: Config, folder: str, family: str, before: int | None = None) -> list[str]:
    """Tables of all rounds of a family, or of those before a round."""
    n = config[family]["rounds"] if before is None else before
    return [f"{folder}/{family}/round{round}/table.parquet" for round in range(n)]


def whole(config: Config, folder: str) -> list[str]:
    """Tables of everything the authors released, where the config names the files."""
    return [f"{folder}/{family}/whole/table.parquet" for family in config["networks"] if config[family]["released_whole"]]


def members(config: Config, folder: str, family: str, round: int) -> list[str]:
    """Ensemble that proposes the rules of the round; none when they come from the prior."""
    if not metrics(config, family, round):
        return []
    return [f"{folder}/{family}/round{round}/member{member}.pt" for member in range(config[family]["fit"]["members"])]


def thinning(config: Config, folder: str, family: str, round: int) -> list[str]:
    """Classifier and predictor that thin the proposals of the round, if they are thinned."""
    thinned = round and config[family]["schedule"][round]["thin"] != "none"
    return [f"{folder}/{family}/round{round}/{name}.npz" for name in ("classifier", "predictor")] if thinned else []


def posteriors(config: Config, folder: str, family: str) -> list[str]:
    """What was learned about each trained ensemble of a family."""
    fitted = [round for round in range(1, config[family]["rounds"]) if metrics(config, family, round)]
    return [f"{folder}/{family}/round{round}/posterior.npz" for round in fitted]


def recordings(config: Config, folder: str, *families: str) -> list[str]:
    """Spikes and weights of the rule shown in detail, of those families whose network is simulated."""
    simulated = (family for family in families if config[family]["data"] == "simulate")
    return [f"{folder}/{family}/example/recordings_0-0.npz" for family in simulated]


def hidden(config: Config, family: str) -> list[str]:
    """The user's file of the fixed layers of the mlp rule, if there is one."""
    return [config[family]["hidden_file"]] if config[family]["hidden_file"] else []


def figures(config: Config, family: str) -> list[str]:
    """Names of the figures of a family: raster and weights only where spikes were simulated."""
    of_poly = ["mean_field"] if family == "poly" else []
    return [*FIGURES, *of_poly, *(["network"] if config[family]["data"] == "simulate" else [])]


# -- settings ---------------------------------------------------------------------------------------------------------


def network(config: Config, family: str) -> dict[str, Any]:
    """Settings of fsbi.build."""
    return {**config[family]["network"], "family": family}


def metrics(config: Config, family: str, round: int) -> list[str]:
    """The metrics that a round is conditioned on; none: its rules come from the prior."""
    return config[family]["schedule"][round]["metrics"]


def targets(config: Config, family: str, round: int) -> dict[str, Any]:
    """Bounds of all metrics, with what the round changes."""
    changed = config[family]["schedule"][round]["aim"]
    return {name: {**bounds, "aim": changed.get(name, bounds["aim"])} for name, bounds in config["targets"].items()}


def training(config: Config, family: str, round: int) -> dict[str, Any]:
    """Settings of fsbi.filter."""
    return {"metrics": metrics(config, family, round), "margins": config[family]["schedule"][round]["filter"]}


def aims(config: Config, family: str, round: int) -> dict[str, Any]:
    """The metrics that a round is conditioned on, and their bounds."""
    names, bounds = metrics(config, family, round), targets(config, family, round)
    return {"metrics": names, "targets": {name: {"aim": bounds[name]["aim"]} for name in names}}


def proposal(config: Config, family: str, round: int) -> dict[str, Any]:
    """Settings of fsbi.data."""
    how = {name: config[family]["schedule"][round][name] for name in ("sharpness", "among")}
    return {**aims(config, family, round), "patience": config[family]["patience"], **how}


def labels(config: Config, family: str, round: int) -> dict[str, Any]:
    """Settings of fsbi.classify: the bounds that tell good rules from others in the round, and no others."""
    entry = config[family]["schedule"][round]
    kinds = {"aim": aims(config, family, round)["targets"], "plausible": targets(config, family, round)}
    return {**{name: entry[name] for name in ("metrics", "thin", "thin_by")}, "targets": kinds.get(entry["thin"], {})}


def simulation(config: Config, family: str, part: str = "example") -> dict[str, Any]:
    """Settings of fsbi.simulate; the survivors of the longevity test run longer."""
    settings = config[family]["simulation"]
    if part != "longevity":
        return settings
    protocol, settle = settings["protocol"], config["longevity"]["settle"]
    limit = protocol["wall_limit"] * (settle + protocol["record"]) / (protocol["settle"] + protocol["record"])
    longer = {"settle": settle, "stop": "reference", "wall_limit": limit}  # as published: only a blow-up is no survival
    return {**settings, "protocol": {**protocol, **longer}}


def minutes(config: Config, family: str, part: str, first: int, last: int) -> int:
    """Time limit of a chunk: twice what its rules take at 20 Hz, at most a day. One that is cut off goes on from there."""
    protocol = simulation(config, family, part)["protocol"]
    seconds = CPU_SECONDS[family] * config[family]["network"]["n_e"] / FULL * (protocol["settle"] + protocol["record"])
    return min(10 + int(2 * seconds * (last - first + 1) / 60), DAY)


def survival(config: Config) -> dict[str, Any]:
    """Settings of fsbi.survivors."""
    condition, targets = config["longevity"]["condition"], config["targets"]
    asked = ("rate", "rate_i") if condition == "activity" else targets
    return {"condition": condition, "targets": {name: bounds for name, bounds in targets.items() if name in asked}}


def measured(config: Config) -> dict[str, Any]:
    """Settings of fsbi.metrics: the bounds, and the schedule of each family."""
    rounds = {family: config[family]["schedule"][: config[family]["rounds"]] for family in config["networks"]}
    aims = {family: [{"metrics": entry["metrics"], "aim": entry["aim"]} for entry in rounds[family]] for family in rounds}
    return {"targets": config["targets"], "schedule": aims}


def shown(config: Config, family: str) -> dict[str, Any]:
    """Settings of fsbi.figures."""
    longevity, simulation = config["longevity"], config[family]["simulation"]
    seconds = longevity["settle"] + simulation["protocol"]["record"] if config[family]["data"] == "simulate" else None
    return {"condition": longevity["condition"], "seconds": seconds, "targets": config["targets"], "simulation": simulation}
