"""Backup and restore of the data of a stack: claims of Prometheus, Alertmanager and Loki, silences, the bucket."""
