"""What the running system tells about itself: log lines, metrics, spans."""
