"""neuLVM: a hidden network of spiking neurons, inferred from a few recorded ones (Wang, Schmutz, Bellec, Gerstner 2022).

Question: can nine spike trains tell the connectivity, the population activities in a single trial and the metastable
dynamics of a network of a thousand neurons that nobody sees?
Model: each hidden population follows a finite-size mesoscopic equation whose spike counts per bin are latent variables
(`model`: equations and loss; `kernel`: the same, fused with its adjoint; `plain`: the same in torch, to compare with).
Inference: expectation maximisation from several starts (`em`, `box`); beyond the paper, a particle filter (`particles`).
Claim: a few neurons suffice; the fitted model switches between states as the network does and predicts its response to a
perturbation. `microscopic` is the hidden network, `freerun` the fitted model as a generator, `baselines` what to compare with.
"""
