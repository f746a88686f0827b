"""Trained ensembles in use: single predictions, whole files, descriptions, ONNX."""
