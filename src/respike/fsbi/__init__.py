"""Plasticity rules that keep a spiking network in a plausible state, found by filtered simulation-based inference.

Confavreux, Ramesh, Goncalves, Macke, Vogels: "Meta-learning families of plasticity rules in recurrent spiking networks
using simulation-based inference", NeurIPS 2023.

Question: which families of rules, switched on at every plastic synapse at once, leave a network of 4096 excitatory and
1024 inhibitory cells active, irregular and with steady weights? Each rule is simulated (simulator), reduced to 17 metrics
(summary) and filtered by conditions (inference.targets); a neural posterior estimator trained on the survivors
(inference.flow) proposes the rules of the next round (inference.proposals). Claim: out of millions of rules, thousands of
distinct combinations satisfy the biological constraints.

`poly`: a pair rule with 6 parameters on EE, EI, IE and II. `mlp`: a rule read out of a fixed small network, on EE and IE.
"""
