"""Media to words: labels, captions, transcripts, phonemes, emotion."""
