"""Models that a good one has to beat, by the names that `penchant evaluate` knows them under."""
