"""The encode worker: raw interactions and items in; packs, encoded items and dead letters out."""
