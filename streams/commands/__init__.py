"""The commands of `penchant`, one file a group."""
