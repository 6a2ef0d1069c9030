"""What models are compared with: word overlap, random and averaged word vectors, finished sentence encoders."""
