"""Boosted trees: what they read, how they learn, their form on disk, and what they predict."""
