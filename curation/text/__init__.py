"""What can be said about an alt-text without looking at its picture."""
