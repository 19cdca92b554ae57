"""Images as bytes and as pixels: formats, headers, structure, decoding, resizing and encoding."""
