"""How good predictions are: metrics, intervals, baselines, importance, verdicts, gains, worth, folds."""
