"""Images from the network. `dream`: Deep Dream, class and channel images; `ascent`: the steps they take."""
