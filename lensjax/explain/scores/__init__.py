"""Scores of a map: against the true evidence, against the network, against another map.

localisation          against the true mask
faithfulness          against the score function; `FAITHFULNESS` names them all
deletion_insertion    the score as pixels are removed or inserted; road_imputation: their replacement
sanity                against the map of a network with random parameters; similarity: of two maps
stability             against fits with other random masks
flip                  the smallest edit that flips a decision
"""
