# What the rules of rate2lif are asked for: chunks of networks, and the part of the config each job reads. No rule.
RATE2LIF = config["rate2lif"]["variants"]
RATE2LIF_GIVEN = [name for name, variant in RATE2LIF.items() if variant["file"]]
RATE2LIF_TRAINED = [name for name in RATE2LIF if name not in RATE2LIF_GIVEN]


def rate2lif_chunks(variant):
    """Names of the chunks of a variant."""
    replicas, size = RATE2LIF[variant]["replicas"], config["rate2lif"]["chunk"]
    return [f"{variant}_{first}-{min(first + size, replicas) - 1}" for first in range(0, replicas, size)]


RATE2LIF_CHUNKS = [chunk for variant in RATE2LIF for chunk in rate2lif_chunks(variant)]

for place, names, known in [
    *((f"variants.{name}.conditions", RATE2LIF[name]["conditions"], "conditions") for name in RATE2LIF),
    *((f"figures.{role}", names, "variants") for role, names in config["rate2lif"]["figures"].items()),
]:
    for name in names if isinstance(names, list) else [names]:
        if name not in config["rate2lif"][known]:
            raise WorkflowError(
                f"config: rate2lif.{place} names {name!r}, which rate2lif.{known} does not have;"
                f" it has {', '.join(config['rate2lif'][known])}"
            )
if RATE2LIF[config["rate2lif"]["figures"]["contextual"]]["training"]["task"] != "mante":
    raise WorkflowError("config: rate2lif.figures.contextual must name a variant whose task is mante")


def rate2lif_training(wildcards):
    """How a variant is trained."""
    return settings("rate2lif", "variants", wildcards.variant, "training")


def rate2lif_task(wildcards):
    """Task of a variant."""
    return RATE2LIF[wildcards.variant]["training"]["task"]


def rate2lif_conditions(wildcards):
    """The LIF networks to be run for a variant, by name."""
    names = RATE2LIF[wildcards.variant]["conditions"]
    return json.dumps({name: config["rate2lif"]["conditions"][name] for name in names})
