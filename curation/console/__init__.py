"""What a person sees: progress, tables, plain lines."""
