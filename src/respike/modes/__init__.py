"""Mode-based spiking networks: how many connectivity modes does a recurrent spiking network need?

Z. Lin, H. Huang, "Spiking mode-based neural networks", Phys. Rev. E 110, 024306 (2024).

Question   Can the recurrent matrix of a spiking network be a sum of few rank-one modes, W = sum_p l_p pin_p pout_p^T, and
           can its activity be read in the space of these modes?
Model      Leaky integrate-and-fire neurons with filtered spikes, trained by back-propagation through time with a surrogate
           derivative, on handwritten digits and on contextual integration; a tanh rate network for comparison.
Claim      A few modes are enough; spikes do as well as rates; the importance of modes falls off in two power-law pieces.

params: constants.  model: the equations.  kernel: the same in compiled loops, with a hand-written adjoint.  encoding: images
as input spikes.  digits, embedded: handwritten digits.  learning: training.  fitted: a trained network as a file.
simulation, trials: fresh trials and their files.  analysis, measurement: what is measured.
"""
