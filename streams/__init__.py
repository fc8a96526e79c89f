"""Everything that touches Kafka: records, topics, the engine, the workers and the commands."""
