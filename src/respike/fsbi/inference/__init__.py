"""Which rules are wanted (targets), what is learned from those simulated (flow, classifier), how new ones are proposed."""
