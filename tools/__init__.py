"""What the Makefile calls: pinned tools, the local cluster, rendering and checks."""
