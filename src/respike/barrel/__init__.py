"""A barrel-cortex network that tells objects by whisker sweeps (Zhu et al., ICLR 2025).

Question: what does training do to a recurrent spiking network that has the anatomy of a real cortical column?
Model: 13 populations of adaptive leaky integrate-and-fire neurons of L4 and L2/3 with sampled sparse connections and
Dale's law, driven through 200 thalamic neurons by the forces and torques at the base of 31 whiskers.
Claim: it classifies helmets, boxes and planes as well as the best baselines, and looks like cortex while doing so.

anatomy.csv, anatomy.py   populations, connection probabilities, sampled synapses (section 3.1 to 3.3 of the paper)
cells.py                  the neuron: adaptive LIF and its surrogate derivative
model.py, kernels.py      the network step, plain (any device) and compiled (CPU)
learning.py               loss, optimiser, the training loop of one network
whiskers, shapes, sweeps  geometry of the whiskers, objects, MuJoCo simulation of a sweep
"""
