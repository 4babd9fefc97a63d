"""Where calls turn round: load, decide, append, answer; again on conflict, and once for a repeated request."""
