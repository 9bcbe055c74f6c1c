"""The whole network of one study as a Brian2 project: populations, input, connections, what is recorded, what ends a run.

Everything that may differ between two runs of a binary (rule, seed, constants, durations, connection probabilities) is a
shared variable, set on its command line before cells are wired and initial values drawn.
"""

import itertools

import numpy as np

from respike.fsbi.params import (
    DELAY_STEPS,
    DT,
    MLP_SCALE,
    N_HIDDEN,
    N_SAMPLES,
    PLASTIC,
    SAMPLE_EVERY,
    TYPES,
    Network,
    Protocol,
    Wiring,
)
from respike.fsbi.simulator import command, model
from respike.fsbi.simulator.brian import brian2
from respike.fsbi.simulator.codegen import in_cpp, source

LONGEST = 1e5  # s; a run ends when `control` says so
DELAY = DELAY_STEPS * DT * brian2.second
INPUT = """
next_step : integer
gap : 1 (shared)  # 1/log(1 - rate*dt)
"""
GAP = "int(log(1 - rand())*gap)"  # steps without a spike: geometric, as for one Bernoulli draw per step
DRAW = f"next_step = t_in_timesteps + 1 + {GAP}"
CONTROL = """
rate : 1  # running rate of E, Hz
arrived : 1  # E spikes that arrived in this step
quiet : integer  # steps since the last one
outcome : integer  # index in OUTCOMES
looks : integer  # the same, from the last look at cells and weights
stop_step : integer  # -1 while the run goes on
"""
CHECK = """
rate = rate*keep_rate + arrived*per_spike
quiet = int(arrived == 0)*(quiet + 1)
arrived = 0
outcome = verdict(rate >= rate_max, quiet > quiet_max, looks, t_in_timesteps + 1 >= end_step)
stop_step = t_in_timesteps + 1
"""
LOOK = "looks = inspect(w_max, full_share, full_samples, cpu_limit)"
# The generator takes 32 bits; the rest of the seed says how far to go on in its sequence.
SEED = """
brian::_random_generators[0].seed((unsigned long)(uint32_t)_array_control_seed_low[0]);
for (int _skip = 0; _skip < _array_control_seed_high[0]; _skip++) brian::_random_generators[0].rand();
"""
FLUSH_DENORMALS = """
#if defined(__SSE__)
_mm_setcsr(_mm_getcsr() | 0x8040);  // decayed conductances would otherwise cost ten times the time
#endif
"""


def assemble(network: Network) -> None:
    """Put the network on the present Brian2 device, with a run of no definite length.

    The order counts: the command line is read before the seed is set, and that before anything random is drawn.
    """
    sizes = {"E": network.n_e, "I": network.n_i}
    traces = {name: model.population_traces(network.family, name) for name in sizes}
    cells = {name: model.cells(network.family, sizes[name], *traces[name], name=name) for name in sizes}
    inputs = brian2.NeuronGroup(
        network.n_input, INPUT, threshold="int(t_in_timesteps) >= next_step", reset=DRAW, name="inputs"
    )
    controls = control(network)
    others = []
    if network.family == "mlp":
        others.append(brian2.NeuronGroup(N_HIDDEN[0] * (len(MLP_SCALE) + N_HIDDEN[1]), "weight : 1", name="hidden"))
    order = itertools.count(step=2)  # of connections and counters of arrivals in a step
    external = [input_synapses(inputs, cells[name], next(order)) for name in cells]
    recurrent = [
        model.connection(cells[kind[0]], cells[kind[1]], network.family, kind, next(order), name=kind) for kind in TYPES
    ]
    for name, (pre, _) in traces.items():
        others.append(model.arrival_traces(cells[name], pre, next(order), name=f"arrivals_{name}"))
    rate = brian2.Synapses(cells["E"], controls, on_pre="arrived_post += 1", delay=DELAY, name="arrived")
    rate.connect()
    others += [brian2.SpikeMonitor(cells[name], name=f"spikes_{name}") for name in cells]

    brian2.device.insert_code("before_start", FLUSH_DENORMALS)
    brian2.device.apply_run_args()
    brian2.device.insert_code("main", SEED)
    wire(external, recurrent)
    others += [sampler(synapses) for synapses in recurrent if synapses.name in PLASTIC[network.family]]
    start(cells, recurrent, inputs, controls)

    net = brian2.Network(*cells.values(), inputs, controls, *external, *recurrent, rate, *others, name="network")
    for synapses in external + recurrent if network.templates == "fast" else ():
        tidy(synapses)
    leave(network)
    net.run(LONGEST * brian2.second)


def wire(external: list[brian2.Synapses], recurrent: list[brian2.Synapses]) -> None:
    """Draw which cells are connected: of the input each pair on its own, in the network as `wired` says, no cell to itself."""
    wired = in_cpp("wired", source("wired.h"), 1, 1, result=bool)
    for synapses in external:
        synapses.connect(j="k for k in sample(N_post, p=p)")
    for synapses in recurrent:
        itself = " and k != i" if synapses.source is synapses.target else ""
        # the postsynaptic cell k only makes Brian2 ask for every pair
        synapses.connect(j=f"k for k in range(N_post) if wired(p, k){itself}", namespace={"wired": wired})


def tidy(synapses: brian2.Synapses) -> None:
    """Free what the fast loops do not need of a connection."""
    for name in ("_synaptic_pre", "_synaptic_post"):
        array = f"brian::_dynamic_array_{synapses.name}_{name}"
        brian2.device.insert_code("before_network_run", f"std::remove_reference<decltype({array})>::type().swap({array});")


def leave(network: Network) -> None:
    """Write what a run leaves, all weights if they are asked for, and end it: memory need not be tidied up."""
    late = network.templates == "fast" and network.family == "poly"  # weights are not up to date
    lines = [source("leave.h")]
    lines += [f'leave("control.{name}", brian::_array_control_{name}, 1);' for name in ("outcome", "stop_step")]
    for name in ("spikes_E.i", "spikes_E.t", "spikes_I.i", "spikes_I.t"):
        lines.append(f'leave_all("{name}", brian::_dynamic_array_{name.replace(".", "_")});')
    for kind in PLASTIC[network.family]:
        lines.append(f'leave_all("weights_{kind}.t", brian::_dynamic_array_weights_{kind}_t);')
        lines.append(f'leave_samples("weights_{kind}.w", brian::_dynamic_array_weights_{kind}_w);')
    for kind in TYPES:
        update = f"void _catch_up_all_{kind}_post(); _catch_up_all_{kind}_post();" if late else ""
        kept = f'{update} leave_all("{kind}.w", brian::_dynamic_array_{kind}_w);'
        lines.append(f"if (brian::_array_control_keep_weights[0]) {{ {kept} }}")
    brian2.device.insert_code("before_end", "\n".join([*lines, "std::_Exit(0);"]))


def input_synapses(inputs: brian2.NeuronGroup, target: brian2.NeuronGroup, order: int) -> brian2.Synapses:
    """External input: all synapses of one fixed weight."""
    about = {"on_pre": "g_ampa_post += w_input", "delay": DELAY, "name": f"inputs_{target.name}"}
    synapses = brian2.Synapses(inputs, target, "p : 1 (shared)\nw_input : 1 (shared)", **about)
    synapses.pre.order = order
    return synapses


def sampler(synapses: brian2.Synapses) -> brian2.StateMonitor:
    """Samples of the weights of synapses that are equally spaced in the order of storage (presynaptic cell first).

    Where no synapse was drawn, the binary says so and ends.
    """
    name = f"weights_{synapses.name}"
    first = np.arange(N_SAMPLES)  # replaced when the binary knows how many synapses there are
    monitor = brian2.StateMonitor(
        synapses, "w", record=first, dt=SAMPLE_EVERY * brian2.second, when="end", order=-1, name=name
    )
    brian2.device.insert_code(
        "main",
        f'if (!_array_{synapses.name}_N[0]) std::cout << "no {synapses.name} synapse was drawn, "'
        ' "raise fsbi.<network>.simulation.wiring.p_recurrent or network.n_e, n_i", std::exit(1);\n'
        f"for (int _k = 0; _k < {N_SAMPLES}; _k++) _array_{name}__indices[_k] ="
        f" (int32_t)((int64_t)_k * _array_{synapses.name}_N[0] / {N_SAMPLES});",
    )
    return monitor


def control(network: Network) -> brian2.NeuronGroup:
    """The one unit that follows the running rate of E and stops the run."""
    monitors = ", ".join(f"&brian::_dynamic_array_weights_{kind}_w" for kind in PLASTIC[network.family])
    look = source("control.h").replace("MONITORS}", monitors + "}")
    functions = {
        "verdict": in_cpp("verdict", source("verdict.h"), bool, bool, 1, bool),
        "inspect": in_cpp("inspect", look, 1, 1, 1, 1),
    }
    equations = CONTROL + model.constants(command.control_values(network, Wiring(), Protocol(), 0))
    group = brian2.NeuronGroup(1, equations, name="control", namespace=functions)
    group.run_regularly(LOOK, dt=SAMPLE_EVERY * brian2.second, when="end", order=0, name="control_look")
    group.run_regularly(CHECK, when="end", order=1, name="control_check")
    return group


def start(populations, recurrent, inputs, controls) -> None:
    """Initial values, drawn after the command line has been read."""
    for synapses in recurrent:
        synapses.w = "w_start"
    for group in populations.values():
        group.v = "v_rest"
        if "v_trace" in group.variables:
            group.v_trace = "v_rest"
    inputs.next_step = GAP
    controls.rate = "rate_max/2"
