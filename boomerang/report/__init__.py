"""What people read of an evaluation: tables, charts, the report, the model card."""
