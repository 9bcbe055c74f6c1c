"""The workflow rules of each study as a drawing: a box per rule, an arrow from what is made to what needs it."""

import io
import re
from pathlib import Path

import networkx as nx

from respike.core import style

STUDIES = sorted(path.parent.name for path in Path(__file__).parents[1].glob("*/claims.csv"))
TARGETS = {"all", "everything"}  # workflow rules that only ask for the files of others


def of_studies(dot: str) -> dict[str, nx.DiGraph]:
    """The workflow rules of each study, and those of all studies that need them, in what `snakemake --rulegraph dot` says.

    Rules of the study v1 are called v1_fit and so on. Sorted, as Snakemake's order is another one in each call.
    """
    names = dict(re.findall(r'^\s*(\d+)\[label = "([^"\\]+)', dot, re.MULTILINE))
    edges = sorted((names[maker], names[user]) for maker, user in re.findall(r"(\d+) -> (\d+)", dot))
    graphs = {
        study: nx.DiGraph([edge for edge in edges if edge[0].startswith(f"{study}_") and edge[1] not in TARGETS])
        for study in STUDIES
    }
    return {study: graph for study, graph in graphs.items() if graph}


def draw(graph: nx.DiGraph) -> str:
    """SVG of a graph of workflow rules, rules of one depth side by side. The same graph gives the same text."""
    spots = positions(graph)
    columns, lines = (1 + max(abs(spot[axis]) for spot in spots.values()) for axis in (0, 1))
    figure, axes = style.panels(1, 1, height=0.42 * (lines + 0.5))
    figure.set_figwidth(max(4.0, 2.6 * columns))
    nx.draw_networkx_edges(graph, spots, ax=axes[0, 0], edge_color="0.7", arrowsize=6, width=0.6, node_size=300)
    box = {"boxstyle": "round", "fc": "white", "ec": "0.6", "lw": 0.5}
    for rule, (x, y) in spots.items():
        axes[0, 0].text(x, y, rule, ha="center", va="center", fontsize=7, bbox=box)
    axes[0, 0].margins(x=0.16)
    axes[0, 0].set_axis_off()
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    style.plt.close(figure)
    _, tag, drawing = text.getvalue().partition("<svg")
    return "".join(f"{line.rstrip()}\n" for line in f"{tag}{drawing}".splitlines())


def without_loops(graph: nx.DiGraph) -> nx.DiGraph:
    """The graph without the edges that close a loop: rounds lead from a rule back to one above it."""
    straight = graph.copy()
    while not nx.is_directed_acyclic_graph(straight):
        straight.remove_edge(*nx.find_cycle(straight)[-1][:2])
    return straight


def positions(graph: nx.DiGraph) -> dict[str, tuple[float, float]]:
    """Where each rule stands: below all that it needs, rules of one depth side by side around the middle."""
    layers = [sorted(layer) for layer in nx.topological_generations(without_loops(graph))]
    return {
        rule: (number - (len(layer) - 1) / 2, -float(depth))
        for depth, layer in enumerate(layers)
        for number, rule in enumerate(layer)
    }
