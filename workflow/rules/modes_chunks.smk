# What the rules of modes are asked for: networks that can be, and their trials in chunks of replicas. No rule.
MODES = config["modes"]


def modes_chunks(task, cell, neurons, modes, replicas):
    """Files of trials of all replicas of one kind of network, in chunks that one job simulates."""
    folder, name = "results/modes/simulations", f"{task}_{cell}_N{neurons}_P{modes}"
    return [
        f"{folder}/{name}_{first}-{last}.npz"
        for first, last in chunks_of(folder, name, "npz", replicas, MODES["chunk"])
    ]


MODES_SIMULATIONS = [
    path
    for kind in MODES["networks"]
    for neurons, modes in product(kind["neurons"], kind["modes"])
    for path in modes_chunks(kind["task"], kind["cell"], neurons, modes, kind["replicas"])
]

for kind in MODES["networks"]:
    for neurons, modes in product(kind["neurons"], kind["modes"]):
        refuse(network_size, kind["task"], neurons, modes, MODES["redundant_modes"])
