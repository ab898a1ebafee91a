"""The inbox of the local cluster: what its Alertmanager delivers, shown as a person would see it."""
