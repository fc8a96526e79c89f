"""Media to vectors: fetching, decoding, preprocessing and encoding of text, images, sounds and videos."""
