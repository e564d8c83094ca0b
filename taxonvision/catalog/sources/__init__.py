"""One module a format that photographs and labels come in."""
