"""A barrel-cortex network that tells objects by whisker sweeps (Zhu et al., ICLR 2025).

Question: what does training do to a recurrent spiking network that has the anatomy of a real cortical column?
Model: 13 populations of adaptive leaky integrate-and-fire neurons of L4 and L2/3 with sampled sparse connections and
Dale's law, driven through 200 thalamic neurons by the forces and torques at the base of 31 whiskers.
Claim: it classifies helmets, boxes and planes as well as the best baselines, and looks like cortex while doing so.

sweeps/                   simulation of whisker sweeps, which stand in for the published ones
recording.py              sweeps in files of the published layout
encoding.py, samples.py   forces and torques as input of the network; samples for training, validation and test
anatomy.csv, anatomy.py   populations, connection probabilities, sampled synapses
model.py, kernel.py       neurons and network, plain (any device) and compiled (CPU)
learning.py, fitted.py    loss, optimiser, training of one network; a trained network as a file
responses.py, analysis.py what a network does, and what is measured on it
classifiers.py            other classifiers on the input that networks get
plan.py                   trainings and settings, as the workflow rules ask for them
"""
