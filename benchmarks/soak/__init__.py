"""Hours of mixed traffic over a real service: that nothing fails, grows or is lost."""
