"""The catalogue in the space of the interests' vectors, for indexes outside of this product."""
