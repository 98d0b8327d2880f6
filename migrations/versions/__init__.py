"""One file for each step; the number at the front is the order."""
