"""What an encoder costs: time, memory and size, measured in the same way for models, word vectors and overlap.

Each encoder has a process of its own (`worker`), which waits while the others have their turn (`measure`).
"""
