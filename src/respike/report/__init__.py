"""All studies together: the joined table of measures and the scorecard of the papers' claims."""
