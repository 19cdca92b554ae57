"""The HTML that a sandbox web shows where there is no picture."""

_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n"
    "<body><h1>{title}</h1><p>Please enable cookies to view this picture.</p></body></html>\n"
)


def html_page(title: str) -> bytes:
    """Returns a small page."""
    return _PAGE.format(title=title).encode()
