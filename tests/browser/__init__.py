"""The Import Hub in a real browser, on a real stack, with the stand-ins of the vendors."""
