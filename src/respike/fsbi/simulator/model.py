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

from respike.fsbi.params import DELAY_STEPS, DT, MLP_READOUT, MLP_SCALE, PLASTIC, RENEWAL, THETA, Cells, Wiring
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
STATE = {"poly": CELL, "mlp": CELL + ADAPTIVE}
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


def population_traces(family: str, population: str) -> tuple[list[str], list[str]]:
    """Presynaptic and postsynaptic traces kept by the cells of `population` (E or I): those that the command line lets decay.

    poly: one per connection, each with a time constant of its own; mlp: a fast and a slow one per cell.
    """
    values = command.trace_values(family, Wiring(), dict.fromkeys(THETA[family], 1.0))
    names = [name.removeprefix(f"{population}.keep_") for name in values if name.startswith(population)]
    return [name for name in names if name.startswith("x_pre_")], [name for name in names if name.startswith("x_post_")]


def constants(values: Mapping[str, float]) -> str:
    """Declarations of what has these `values` on the command line."""
    return "".join(f"{name} : {'integer' if isinstance(value, int) else '1'} (shared)\n" for name, value in values.items())


def trace_equations(names: Sequence[str]) -> str:
    """Variables of the traces `names`: the level of each cell, the common fade, and its factor per step."""
    return "".join(f"{name} : 1\nfade_{name} : 1 (shared)\nkeep_{name} : 1 (shared)\n" for name in names)


def let_fade(group: brian2.NeuronGroup, names: Sequence[str]) -> None:
    """Make the traces `names` of a group decay."""
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


def change(family: str, kind: str, side: str) -> str:
    """What a spike of the `side` cell does to the weight of connection `kind`: change and bound it; nothing if it is static.

    Rates of change are already multiplied by the learning rate.
    """
    if kind not in PLASTIC[family]:
        return ""
    trace = lambda of, which: f"fade_x_{of}_{which}_{of}*x_{of}_{which}_{of}"  # noqa: E731
    if family == "poly":
        alone, pair, other = {"pre": ("alpha", "kappa", "post"), "post": ("beta", "gamma", "pre")}[side]
        return f"x = {trace(other, kind)}\nw = bounded(w + ({alone} + {pair}*x), 0, w_max)"
    own, other = ("slow", "fast") if side == "pre" else ("fast", "slow")
    readout = ", ".join(f"{side}_{name}" for name in MLP_READOUT)
    return (
        f"x_before = {trace('pre', own)}\n"
        f"x_after = {trace('post', other)}\n"
        f"w = bounded(w + mlp(x_before, x_after, w, v_trace_post, c_exc_post, c_inh_post, {readout}), 0, w_max)"
    )


def cells(family: str, n: int, pre: Sequence[str], post: Sequence[str], **options) -> brian2.NeuronGroup:
    """A population; `pre` and `post` are the traces its cells keep. Constants are 0 until they are set."""
    names = [*pre, *post]
    group = brian2.NeuronGroup(
        n,
        STATE[family] + constants(command.cell_values(family, Cells())) + trace_equations(names),
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
    """A plastic or static connection; its arriving spikes run at `order`, its postsynaptic ones right after.

    An arriving spike adds the present weight to a conductance before it changes the weight.
    """
    values = command.rule_values(family, kind, Wiring(), dict.fromkeys(THETA[family], 1.0))
    post = change(family, kind, "post")
    synapses = brian2.Synapses(
        source,
        target,
        "w : 1\n" + constants(values),
        on_pre=f"{'g_ampa' if kind[0] == 'E' else 'g_gaba'}_post += w\n" + change(family, kind, "pre"),
        on_post=post or None,
        delay={"pre": DELAY_STEPS * DT * brian2.second, **({"post": 0 * brian2.second} if post else {})},
        namespace={"bounded": bounded, "mlp": mlp},
        **options,
    )
    synapses.pre.order = order
    if post:
        synapses.post.order = order + 1
    return synapses


def arrival_traces(group, pre: Sequence[str], order: int, **options) -> brian2.Synapses:
    """Counts the delayed spikes of `group` into its presynaptic traces, after all connections have read them."""
    synapses = brian2.Synapses(group, group, on_pre=count(pre, "_post"), delay=DELAY_STEPS * DT * brian2.second, **options)
    synapses.connect(j="i")
    synapses.pre.order = order
    return synapses
