"""Flux and Argo CD: how they are watched, and whom Flux tells by itself. `cluster.runs` says which of them there is."""

from typing import Annotated, Literal

from pydantic import Field

from settings.base import Model, Name


class FluxNotifications(Model):
    """Flux's own messages, made by its notification controller: at once, each event for itself."""

    receiver: Name
    """One of `alertmanager.receivers`; its Slack, Microsoft Teams, Discord, Telegram, Opsgenie and webhook channels
    are told. Flux cannot reach the other kinds."""
    severity: Literal["error", "info"] = "error"
    """`info`: every change that was applied, too."""
    namespaces: Annotated[list[Name], Field(min_length=1)] = ["flux-system"]
    """Namespaces whose Flux objects are told of."""


class FluxSettings(Model):
    """`observability:flux`. Its controllers run in the namespace `flux-system`, as `flux bootstrap` puts them."""

    monitor: bool = True
    """Scrape its controllers, and read the state of its objects; off where somebody else does."""
    notifications: FluxNotifications | None = None


class ArgoCdSettings(Model):
    """`observability:argoCd`."""

    monitor: bool = True
    """Scrape its controllers; off where somebody else does."""
    namespace: Name = "argocd"
