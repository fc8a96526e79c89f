"""Adapters of text models: little that is learned beside a model whose own numbers stay (PEFT)."""
