"""Faults on demand: causes the real thing on the local cluster, and shows the way of its alert to a person."""
