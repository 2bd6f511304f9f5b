"""The settings that users give: frozen, checked on creation, and free of torch."""
