"""The state engine: places, recovery, order and the commit. Knows nothing of Faust."""
