"""The network of plastic connections as a Brian2 model: the equations, once, for the simulator and for the tests.

Units: s, V; conductances and weights in units of the leak conductance. One step of DT runs in the order of the published
program: cells (`groups`, `thresholds`), then for each connection first the arriving spikes, then the immediate postsynaptic
ones (`synapses`, by `order`), then traces and resets (`resets`), samples and controls (`end`). A plasticity update
therefore never sees trace contributions of its own step; the decay of the traces stands at the head of the next step.

A trace decays by the same factor everywhere, so it is kept as level * fade: `fade`, one number, shrinks in every step; the
levels are touched at spikes, and every RENEWAL steps when the fade is multiplied into them and starts anew at 1.

All constants are shared variables, so that they are single precision and can be set on the command line of the binary: those
that have a value there (command.py) are declared here.
"""

from collections.abc import Mapping, Sequence

from respike.fsbi.params import DELAY_STEPS, DT, MLP_READOUT, MLP_SCALE, PLASTIC, RENEWAL, THETA, TYPES, Cells, Wiring
from respike.fsbi.simulator import command
from respike.fsbi.simulator.brian import brian2
from respike.fsbi.simulator.codegen import in_cpp, source

CELL = """
v : 1  # membrane
g_ampa : 1
g_nmda : 1
g_gaba : 1
h : 1  # threshold above its rest
"""
ADAPTIVE = """
g_adapt : 1
v_trace : 1
c_exc : 1
c_inh : 1
"""
NMDA = """
g_nmda = g_nmda + into_nmda*g_ampa
g_nmda = g_nmda - into_nmda*g_nmda
"""
DECAY = """
g_ampa = g_ampa*keep_ampa
g_gaba = g_gaba*keep_gaba
"""
MEMBRANE = """
h = h*keep_h
v = bounded(v + into_v*(i_exc - i_inh - (v - v_rest)), v_inh, v_exc)
"""
STEP = {  # currents of the conductances before (poly) or after (mlp) their decay
    "poly": "i_exc = (ampa*g_ampa + nmda*g_nmda)*(v_exc - v)\ni_inh = g_gaba*(v - v_inh)" + NMDA + DECAY + MEMBRANE,
    "mlp": DECAY
    + "g_adapt = g_adapt*keep_adapt"
    + NMDA
    + """
i_exc = (ampa*g_ampa + nmda*g_nmda)*(v_exc - v)
i_inh = (g_gaba + g_adapt)*(v - v_inh)
c_exc = c_exc + into_c_exc*i_exc
c_exc = c_exc - into_c_exc*c_exc
c_inh = c_inh + into_c_inh*i_inh
c_inh = c_inh - into_c_inh*c_inh
v_trace = v_trace + into_v_trace*v
v_trace = v_trace - into_v_trace*v_trace
"""
    + MEMBRANE,
}
RESET = {"poly": "v = v_rest\nh = threshold_jump\n", "mlp": "v = v_rest\nh = threshold_jump\ng_adapt += adapt_jump\n"}
THRESHOLD = "v > v_threshold + h"


bounded = in_cpp("bounded", source("bounded.h"), 1, 1, 1)  # x clipped to [low, high]; nan stays nan
# eta times the change of the mlp rule (fsbi/mlp.py), of x_pre, x_post, w, <V>, C_exc, C_inh, the readout and the bias.
mlp = in_cpp("mlp", source("mlp.h"), *[1] * (len(MLP_SCALE) + len(MLP_READOUT)))


def traces(family: str, kind: str, side: str) -> tuple[str, ...]:
    """Names of the traces that the `side` cells of connection `kind` keep for its rule.

    poly: one per connection, each with a time constant of its own; mlp: a fast and a slow one per cell.
    """
    if kind not in PLASTIC[family]:
        return ()
    return (f"x_{side}_{kind}",) if family == "poly" else (f"x_{side}_fast", f"x_{side}_slow")


def population_traces(family: str, population: str) -> tuple[list[str], list[str]]:
    """Presynaptic and postsynaptic traces kept by the cells of `population` (E or I)."""
    pre = [name for kind in TYPES if kind[0] == population for name in traces(family, kind, "pre")]
    post = [name for kind in TYPES if kind[1] == population for name in traces(family, kind, "post")]
    return list(dict.fromkeys(pre)), list(dict.fromkeys(post))


def constants(values: Mapping[str, float]) -> str:
    """Declarations of what has these `values` on the command line."""
    return "".join(f"{name} : {'integer' if isinstance(value, int) else '1'} (shared)\n" for name, value in values.items())


def cell_equations(family: str, names: Sequence[str]) -> str:
    """Variables of a cell that keeps the traces `names`."""
    states = CELL + (ADAPTIVE if family == "mlp" else "")
    return states + constants(command.cell_values(family, Cells())) + trace_equations(names)


def trace_equations(names: Sequence[str]) -> str:
    """Variables of the traces `names`: the level of each cell, the common fade, and its factor per step."""
    return "".join(f"{name} : 1\nfade_{name} : 1 (shared)\nkeep_{name} : 1 (shared)\n" for name in names)


def let_fade(group: brian2.NeuronGroup, names: Sequence[str]) -> None:
    """Make the traces `names` of a group decay."""
    if not names:
        return
    often, rarely = DT * brian2.second, RENEWAL * DT * brian2.second
    parts = (
        ("fade", often, "".join(f"fade_{name} = fade_{name}*keep_{name}\n" for name in names)),
        ("renew", rarely, "".join(f"{name} = {name}*fade_{name}\n" for name in names)),
        ("refill", rarely, "".join(f"fade_{name} = 1\n" for name in names)),
    )
    for order, (part, dt, code) in enumerate(parts):
        group.run_regularly(code, dt=dt, when="groups", order=order + 1, name=f"{group.name}_{part}")
    for name in names:
        setattr(group, f"fade_{name}", 1)


def count(names: Sequence[str], suffix: str = "") -> str:
    """Statements that count a spike into traces."""
    return "".join(f"{name}{suffix} += 1/fade_{name}{suffix}\n" for name in names)


def synapse_equations(family: str, kind: str) -> str:
    """Variables of the connection `kind`. Rates of change are already multiplied by the learning rate."""
    return "w : 1\n" + constants(command.rule_values(family, kind, Wiring(), dict.fromkeys(THETA[family], 1.0)))


def on_arrival(family: str, kind: str) -> str:
    """What an arriving presynaptic spike does: add the present weight, then change and bound it."""
    deliver = f"{'g_ampa' if kind[0] == 'E' else 'g_gaba'}_post += w\n"
    if kind not in PLASTIC[family]:
        return deliver
    if family == "mlp":
        return deliver + _mlp_change("pre", "slow", "fast")
    return deliver + f"x = fade_x_post_{kind}_post*x_post_{kind}_post\nw = bounded(w + (alpha + kappa*x), 0, w_max)"


def on_post_spike(family: str, kind: str) -> str | None:
    """What a postsynaptic spike does to the weights of its cell; None for a static connection."""
    if kind not in PLASTIC[family]:
        return None
    if family == "mlp":
        return _mlp_change("post", "fast", "slow")
    return f"x = fade_x_pre_{kind}_pre*x_pre_{kind}_pre\nw = bounded(w + (beta + gamma*x), 0, w_max)"


def _mlp_change(side: str, pre: str, post: str) -> str:
    readout = ", ".join(f"{side}_{n}" for n in (*range(4), "bias"))
    return (
        f"x_before = fade_x_pre_{pre}_pre*x_pre_{pre}_pre\n"
        f"x_after = fade_x_post_{post}_post*x_post_{post}_post\n"
        f"w = bounded(w + mlp(x_before, x_after, w, v_trace_post, c_exc_post, c_inh_post, {readout}), 0, w_max)"
    )


def cells(family: str, n: int, pre: Sequence[str], post: Sequence[str], **options) -> brian2.NeuronGroup:
    """A population; `pre` and `post` are the traces its cells keep. Constants are 0 until they are set."""
    names = [*pre, *post]
    group = brian2.NeuronGroup(
        n,
        cell_equations(family, names),
        threshold=THRESHOLD,
        reset=RESET[family] + count(post),
        method="euler",
        namespace={"bounded": bounded},
        **options,
    )
    group.run_regularly(STEP[family], when="groups", name=f"{group.name}_step")
    let_fade(group, names)
    return group


def connection(source, target, family: str, kind: str, order: int, **options) -> brian2.Synapses:
    """A plastic or static connection; its arriving spikes run at `order`, its postsynaptic ones right after."""
    post = on_post_spike(family, kind)
    synapses = brian2.Synapses(
        source,
        target,
        synapse_equations(family, kind),
        on_pre=on_arrival(family, kind),
        on_post=post,
        delay={"pre": DELAY_STEPS * DT * brian2.second, **({"post": 0 * brian2.second} if post else {})},
        namespace={"bounded": bounded, "mlp": mlp},
        **options,
    )
    synapses.pre.order = order
    if post:
        synapses.post.order = order + 1
    return synapses


def arrival_traces(group, pre: Sequence[str], order: int, **options) -> brian2.Synapses | None:
    """Counts the delayed spikes of `group` into its presynaptic traces, after all connections have read them."""
    if not pre:
        return None
    synapses = brian2.Synapses(group, group, on_pre=count(pre, "_post"), delay=DELAY_STEPS * DT * brian2.second, **options)
    synapses.connect(j="i")
    synapses.pre.order = order
    return synapses
