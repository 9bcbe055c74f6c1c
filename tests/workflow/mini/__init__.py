"""A study in miniature for tests of the workflow: rounds of simulations, a training, a table. Copied into a test project."""
