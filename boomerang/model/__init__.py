"""The LSTM, its compiled kernels, and the windows it reads."""
