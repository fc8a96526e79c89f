"""The state engine: order, place, recovery and commit of a source topic. Knows nothing of its host."""
