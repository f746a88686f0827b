"""What people and CI run beside the pipeline: status, reproduce, export."""
