"""What every other room builds on: errors, checks, settings, files, the numeric environment."""
