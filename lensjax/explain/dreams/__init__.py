"""Make images from the network. `dream`: Deep Dream, class and channel images; `ascent`: gradient ascent."""
