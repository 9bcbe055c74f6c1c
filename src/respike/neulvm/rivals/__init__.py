"""Other models of the same spike trains, fitted and run as the mesoscopic model is."""
