"""Studies of gravitational-wave events, one file each.

`gallery` draws simulated events; `talk_table` trains the talk's ablations; `golden_events` and `real_events`
test a network trained on simulations on real pictures and on real strain.
"""
