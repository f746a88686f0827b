"""Trained members together: metadata, inference, weights and temperature, decisions."""
