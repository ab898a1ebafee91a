"""Faults of the log pipeline: numbered lines go through Promtail into Loki while one of them is killed or refuses."""
