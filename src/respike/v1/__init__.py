"""Sample-and-measure: spiking networks fitted to spike trains of visual cortex by likelihood and by sampled statistics.

Bellec, Wang, Modirshanechi, Brea, Gerstner, "Fitting summary statistics of neural data with a differentiable spiking
network simulator", NeurIPS 2021 (arXiv 2106.10064).

Question: a recurrent spiking model that maximises the likelihood of the recorded spikes need not produce realistic
activity when it runs freely. Does it when samples of its own activity enter the loss?
Model: a stochastic network of spiking cells, coupled through their last nine 40 ms bins and driven by a small
convolutional network that sees ten frames of the movie; hidden cells may be added.
Claim: adding the distance between sampled and recorded statistics (PSTH, noise correlation) makes them match, at next to
no loss of likelihood, and lets hidden cells be included, which recovers the connections.

`model` holds the network, `recurrence` its time loop with gradient, `losses` the terms of the loss, `fitting` a training,
`recording` the files of the data set, `recorded` what is fitted, `truth` the network behind the stand-in data.
"""
