"""Settings of a stack: typed, frozen, and refused with a clear message where they are wrong."""

from settings.reader import Loaded, Settings, SettingsError, load, parse

__all__ = ["Loaded", "Settings", "SettingsError", "load", "parse"]
