"""`make diff`: what a change of this repository changes on each cluster."""
