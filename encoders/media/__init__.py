"""Bytes of a medium to arrays: sniffing, decoding in child processes, key frames."""
