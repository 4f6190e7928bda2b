"""Acts with a rule, rows and an audit entry. They add and flush; the entry point commits, once, last."""
