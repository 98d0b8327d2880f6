"""What plugins offer and what the core lends them: interfaces only, no behaviour of the core."""
