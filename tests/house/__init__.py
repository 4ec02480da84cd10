"""The house rules of CONTRIBUTING.md, read off the syntax trees."""
