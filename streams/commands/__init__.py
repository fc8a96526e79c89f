"""The commands of `penchant`, each imported only when it is called."""
