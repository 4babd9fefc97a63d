"""Reading the history, which is history itself: what somebody looked at in one session."""
