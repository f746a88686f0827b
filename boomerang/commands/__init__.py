"""The command lines: `python train.py`, `python predict.py`, and `boomerang` once installed."""
