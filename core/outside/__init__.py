"""The outside world as it is lent to plugins: bounded, retried, guarded, journaled."""
