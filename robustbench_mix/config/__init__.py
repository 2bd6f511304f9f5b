"""The settings that users give: frozen, checked when they are made, without torch."""
