"""Images that are named by something else than a web address: data in the URL itself, files, object stores, hubs."""
