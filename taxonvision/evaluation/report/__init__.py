"""Reports: self-contained HTML pages that open offline, on a phone as on a desk, and print."""
