"""From spikes to circuits: EM, its refinement by a particle filter, and a posterior by simulation and regression."""
