"""R. Kim, Y. Li, T. J. Sejnowski, "Simple framework for constructing functional spiking recurrent neural networks",
PNAS 116(45):22811-22820 (2019).

Question: can a spiking network be had without training one? A rate network with Dale's law and a synaptic decay
constant per cell (`network`, `model`) is trained by gradient descent (`learning`) on Go-NoGo, XOR or contextual
integration (`tasks`). Its weights, divided by one number L = 1 / lambda, make a network of leaky integrate-and-fire cells
(`lif`, with its equations in `kernel`); L is found by trying values (`conversion`). Claim: the LIF network then does the
task as well as the rate network, and best when the decay constants were trained.

A trained network lives in a MATLAB v5 file with the published fields (`fitted`), so that the authors' files (OSF jd4b6)
take the place of a training. The networks of one job share an archive (`archives`).
"""
