"""Components of the observability stack, one a file, each beside the pure function that builds its configuration."""
