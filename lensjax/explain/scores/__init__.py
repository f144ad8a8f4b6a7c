"""Scores of a map: against the true evidence, against the network, against another map.

localisation          against the true mask
faithfulness          against the score function; `FAITHFULNESS` names them all
deletion_insertion    the score while pixels go, or come, and what replaces them
sanity                against the map of a network with random parameters
stability             against fits with other random masks
flip                  the smallest edit that flips a decision
"""
