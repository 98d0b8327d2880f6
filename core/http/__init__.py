"""The HTTP edge: who asks, what they may, what they sent, and how it is answered. No business decision is made here."""
