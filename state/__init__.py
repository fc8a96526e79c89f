"""Events and vectors to interest state, ranking and recommendations. Knows nothing of Kafka or encoders."""
