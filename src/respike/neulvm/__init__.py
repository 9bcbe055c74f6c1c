"""neuLVM: a hidden network of spiking neurons, inferred from a few recorded ones (Wang, Schmutz, Bellec, Gerstner 2022).

Question: can nine spike trains tell the connectivity, the population activities in a single trial and the metastable
dynamics of a network of a thousand neurons that nobody sees?
Model: each hidden population follows a finite-size mesoscopic equation whose spike counts per bin are latent variables
(`model`: equations and loss; `kernel`: the same, compiled, with its adjoint; `freerun`: as a generator).
Inference: expectation maximisation from several starts (`inference.em`); beyond the paper, the likelihood of the spikes by a
particle filter (`inference.ascent`, `inference.particles`) and a posterior by simulation (`inference.posterior`).
Claim: a few neurons suffice; the fitted model switches between states as the network does and predicts its response to a
perturbation. `microscopic` is the hidden network, `rivals` what to compare with. A fitted model is a file: `fitted.read`.
"""
