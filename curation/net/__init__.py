"""Reaching the open web safely and politely: addresses, URLs, deadlines, robots.txt and opt-outs."""
