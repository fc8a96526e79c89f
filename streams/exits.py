"""Exit codes of the commands."""

EXIT_DRAINED = 0
EXIT_FAILED = 1
EXIT_MISUSED = 2
"""A setting or an argument is wrong: starting again does not help."""
EXIT_NOT_DRAINED = 3
"""Workers did not end within `app.drain_seconds`: the next process does the rest again."""
