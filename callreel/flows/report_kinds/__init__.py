"""What each kind of report counts and shows."""
