"""The next release: the head grown, refitted, judged and described."""
