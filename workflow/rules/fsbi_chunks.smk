# What the rules of fsbi are asked for: chunks, rounds, and the part of the config each job reads. No rule.
FSBI = config["fsbi"]
FSBI_NETWORKS = FSBI["networks"]
FSBI_DATASET = {"surrogate": "surrogate", "simulate": "simulated", "released": "released"}


def fsbi_refuse(key, found, expected):
    raise WorkflowError(f"config: fsbi.{key} = {found!r}: {expected}")


for network in FSBI_NETWORKS:
    space = FSBI[network]
    space["network"]["rule"] = network
    if space["rounds"] > len(space["schedule"]):
        fsbi_refuse(
            f"{network}.rounds",
            space["rounds"],
            f"schedule has only {len(space['schedule'])} entries; add one per round",
        )
    for number, entry in enumerate(space["schedule"]):
        if network == "mlp" and entry["thin_by"] == "mean_field":
            fsbi_refuse(
                f"mlp.schedule[{number}].thin_by", "mean_field", "only poly rules have mean-field coefficients; theta"
            )
    if space["hidden_file"] and network == "poly":
        fsbi_refuse("poly.hidden_file", space["hidden_file"], "only mlp rules have hidden layers; null")
    if space["hidden_file"] and not Path(space["hidden_file"]).is_file():
        fsbi_refuse(f"{network}.hidden_file", space["hidden_file"], "there is no such file; correct the path, or null")
    if space["data"] == "released" and len(space["released"]) < space["rounds"]:
        fsbi_refuse(
            f"{network}.released",
            space["released"],
            f"expected {space['rounds']} .npy files of the authors, one per round",
        )


def fsbi_entry(wildcards):
    """How the rules of a round are drawn."""
    return FSBI[wildcards.network]["schedule"][int(wildcards.round)]


def fsbi_number(part):
    """Number of a round by the name of its folder."""
    return int(part.removeprefix("round"))


def fsbi_ranges(network, part, kind):
    """First and last rule in each file of one kind, of a round or of the longevity test.

    Simulations are in order as long as drawn rules stand in the files that they were read from. These files therefore stay
    when fewer rules are asked for, and go by their records, which are there while a file is drawn again.
    """
    space, folder = FSBI[network], f"results/fsbi/{network}/{part}"
    asked = FSBI["longevity"] if part == "longevity" else {**space, **space["schedule"][fsbi_number(part)]}
    if kind == "rules":
        return chunks_of(f"{folder}/.made", kind, "parquet.json", asked["rules"], space["draw"], beyond=True)
    return chunks_of(folder, kind, "parquet", asked["rules"], asked["chunk"])


def fsbi_files(network, part, kind):
    """Files of one kind, of a round or of the longevity test."""
    return [f"results/fsbi/{network}/{part}/{kind}_{a}-{b}.parquet" for a, b in fsbi_ranges(network, part, kind)]


def fsbi_count(wildcards):
    """Rules in a chunk."""
    return int(wildcards.last) - int(wildcards.first) + 1


def fsbi_drawn(wildcards):
    """Those ranges of drawn rules that hold rules of a chunk."""
    ranges = fsbi_ranges(wildcards.network, wildcards.part, "rules")
    return [(a, b) for a, b in ranges if a <= int(wildcards.last) and b >= int(wildcards.first)]


def fsbi_drawn_files(wildcards):
    """Files of drawn rules that hold the rules of a chunk."""
    folder = f"results/fsbi/{wildcards.network}/{wildcards.part}"
    return [f"{folder}/rules_{a}-{b}.parquet" for a, b in fsbi_drawn(wildcards)]


def fsbi_skipped(wildcards):
    """Rules in those files before the first of a chunk."""
    return int(wildcards.first) - fsbi_drawn(wildcards)[0][0]


def fsbi_proposed(network, part):
    """Drawn rules of a round or of the longevity test; none when the authors released what came of theirs."""
    return [] if FSBI[network]["data"] == "released" else fsbi_files(network, part, "rules")


def fsbi_found(network, part):
    """What came of the rules."""
    space = FSBI[network]
    if space["data"] == "released":
        return [space["released_longevity"] if part == "longevity" else space["released"][fsbi_number(part)]]
    return fsbi_files(network, part, FSBI_DATASET[space["data"]])


def fsbi_dataset(wildcards):
    """Name of the data set, as it stands in every table and figure."""
    space = FSBI[wildcards.network]
    size = f"{space['network']['n_e']} + {space['network']['n_i']} cells"
    return f"simulated network, {size}" if space["data"] == "simulate" else FSBI_DATASET[space["data"]]


def fsbi_before(wildcards):
    """Tables of all rounds before this one."""
    return [f"results/fsbi/{wildcards.network}/round{round}/table.parquet" for round in range(int(wildcards.round))]


def fsbi_tables_of(network):
    """Tables of all rounds of a network."""
    return [f"results/fsbi/{network}/round{round}/table.parquet" for round in range(FSBI[network]["rounds"])]


def fsbi_tables(wildcards):
    """Tables of all rounds."""
    return fsbi_tables_of(wildcards.network)


def fsbi_members(wildcards):
    """Ensemble that proposes the rules of the round; none when they come from the prior."""
    if not fsbi_entry(wildcards)["metrics"]:
        return []
    folder = f"results/fsbi/{wildcards.network}/round{wildcards.round}"
    return [f"{folder}/member{number}.pt" for number in range(FSBI[wildcards.network]["fit"]["members"])]


def fsbi_thinning(wildcards):
    """Classifier that thins the proposals of the round, if it has one."""
    thinned = int(wildcards.round) and fsbi_entry(wildcards)["thin"] != "none"
    return [f"results/fsbi/{wildcards.network}/round{wildcards.round}/classifier.npz"] if thinned else []


def fsbi_targets(wildcards):
    """Bounds of all metrics, with what the round changes."""
    own = fsbi_entry(wildcards)["aim"]
    return {name: {**bounds, "aim": own.get(name, bounds["aim"])} for name, bounds in FSBI["targets"].items()}


def fsbi_labels(wildcards):
    """The bounds that tell good rules from others in the classifier of the round, and no others."""
    entry, targets = fsbi_entry(wildcards), fsbi_targets(wildcards)
    if entry["thin"] == "aim":
        targets = {name: {"aim": targets[name]["aim"]} for name in entry["metrics"] if name in targets}
    return json.dumps(targets if entry["thin"] in ("aim", "plausible") else {}, sort_keys=True)


def fsbi_aims(wildcards):
    """The metrics that a round is conditioned on, and their bounds."""
    metrics, targets = fsbi_entry(wildcards)["metrics"], fsbi_targets(wildcards)
    aims = {name: {"aim": targets[name]["aim"]} for name in metrics if name in targets}
    return {"metrics": metrics, "targets": aims}


def fsbi_conditioned(wildcards):
    """What fsbi.examine reads of a round."""
    return json.dumps(fsbi_aims(wildcards), sort_keys=True)


def fsbi_proposal(wildcards):
    """Settings of fsbi.data."""
    how = {name: fsbi_entry(wildcards)[name] for name in ("sharpness", "among")}
    patience = FSBI[wildcards.network]["patience"]
    return json.dumps({**fsbi_aims(wildcards), "patience": patience, **how}, sort_keys=True)


def fsbi_simulation(wildcards):
    """Settings of fsbi.simulate; the survivors of the longevity test run longer."""
    simulation = FSBI[wildcards.network]["simulation"]
    if wildcards.part == "longevity":
        longer = {
            "settle": FSBI["longevity"]["settle"],
            "stop": "reference",
        }  # as published: only a blow-up is no survival
        simulation = {**simulation, "protocol": {**simulation["protocol"], **longer}}
    return json.dumps(simulation, sort_keys=True)


def fsbi_hidden(network):
    """The user's file of the fixed layers of the mlp rule, if there is one."""
    return FSBI[network]["hidden_file"] or []


def fsbi_minutes(wildcards, attempt):
    """Time limit of a chunk: twice what its rules take at 20 Hz, at most a day. One that is cut off goes on from there."""
    simulation = json.loads(fsbi_simulation(wildcards))
    cpu = {"poly": 0.4, "mlp": 3}[wildcards.network]  # s per simulated second
    share = FSBI[wildcards.network]["network"]["n_e"] / 4096
    protocol = simulation["protocol"]
    needed = 2 * cpu * share * fsbi_count(wildcards) * (protocol["settle"] + protocol["record"]) / 60
    return attempt * min(10 + int(needed), 24 * 60)


def fsbi_fitted_rounds(network):
    """Rounds whose rules an estimator proposed."""
    space = FSBI[network]
    return [round for round in range(1, space["rounds"]) if space["schedule"][round]["metrics"]]


def fsbi_posteriors(network):
    """What was found out about each trained ensemble of a network."""
    return [f"results/fsbi/{network}/round{round}/posterior.npz" for round in fsbi_fitted_rounds(network)]


def fsbi_survival():
    """Settings of fsbi.survivors."""
    longevity = FSBI["longevity"]
    asked = {"activity": ("rate", "rate_i")}.get(longevity["condition"], tuple(FSBI["targets"]))
    targets = {name: bounds for name, bounds in FSBI["targets"].items() if name in asked}
    chosen = {"condition": longevity["condition"], "targets": targets}
    return json.dumps(chosen, sort_keys=True)


def fsbi_measured():
    """Settings of fsbi.metrics: the bounds, and the schedule of each network."""
    schedules = {network: FSBI[network]["schedule"][: FSBI[network]["rounds"]] for network in FSBI_NETWORKS}
    aims = {
        network: [{"metrics": entry["metrics"], "aim": entry["aim"]} for entry in schedule]
        for network, schedule in schedules.items()
    }
    return json.dumps({"targets": FSBI["targets"], "schedule": aims}, sort_keys=True)


def fsbi_whole_tables():
    """Tables of everything the authors released, where the config names the files."""
    return [
        f"results/fsbi/{network}/whole/table.parquet" for network in FSBI_NETWORKS if FSBI[network]["released_whole"]
    ]


def fsbi_figures_of(network):
    """Names of the figures of a network: raster and weights only where spikes were simulated."""
    names = ["accumulation", "components", "protocol", "metrics", "correlations", "pairs", "longevity", "inference"]
    names += ["against_rate", "heat_maps"]
    names += ["mean_field"] if network == "poly" else []
    return names + (["network"] if FSBI[network]["data"] == "simulate" else [])


def fsbi_recordings(network):
    """Spikes and weights of the rule shown in detail."""
    simulated = FSBI[network]["data"] == "simulate"
    return [f"results/fsbi/{network}/example/recordings_0-0.npz"] if simulated else []


def fsbi_shown(network):
    """Settings of fsbi.figures."""
    shown = {
        "targets": FSBI["targets"],
        "condition": FSBI["longevity"]["condition"],
        "seconds": FSBI["longevity"]["settle"] + FSBI[network]["simulation"]["protocol"]["record"],
        "simulation": FSBI[network]["simulation"],
    }
    return json.dumps(shown, sort_keys=True)
