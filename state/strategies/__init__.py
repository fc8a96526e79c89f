"""Ways to find what a user may like, behind one interface, and how they are blended."""
