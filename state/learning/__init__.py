"""Learning from interactions and measuring what was learned: the same code for every model."""
