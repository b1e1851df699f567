"""What the user declared: the pipeline file, its parts, its references, its windows."""
