"""What a user can ask for: frozen, checked, and known without torch."""
