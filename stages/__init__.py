"""The stages of the pipeline: DVC runs these, one module per stage."""
