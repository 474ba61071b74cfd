"""Tools of the proofs: a counting sink, a runner that is killed, a world of profile, people and gateway."""
