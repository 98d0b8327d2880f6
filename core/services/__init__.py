"""One function, one conversation: load, decide with the domain, save with its events in one transaction."""
