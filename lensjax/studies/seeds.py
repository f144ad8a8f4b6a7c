"""Old name of `lensjax study seeds`; until 0.2."""

from lensjax.studies import run_by_old_name

if __name__ == "__main__":
    run_by_old_name("seeds", "seeds")
