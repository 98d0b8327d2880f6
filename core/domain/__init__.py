"""Pure values and decisions of retail: no IO, no clock, no randomness, no logging.

Functions take values and return ``(new value, events)``; nothing here is changed in place.
"""
