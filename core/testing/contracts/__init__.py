"""Contracts: inherit one in a test class named ``Test…`` and say which plugin, with which settings."""
