"""Models: what joins encoders and decoders, one folder of halves a modality."""
