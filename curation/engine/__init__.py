"""What is done with parts, units and decisions, whoever runs it. Knows no runner and no particular stage."""
