"""Labels of items, such as their categories, where only some items carry one: inferred, and asked for."""
