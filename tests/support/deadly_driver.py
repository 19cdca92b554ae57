"""A driver as a process of its own: `python deadly_driver.py PLOT LIGHT ARGUMENTS…`, as `jobs.curate` takes them."""

import json
import os
import sys


def main():
    if "JUMPING_CLOCK" in os.environ:
        # Before all other imports.
        from jumping_clock import JumpingClock

        JumpingClock(os.environ["JUMPING_CLOCK"]).install()
    from deadly_steps import Plot, plotted, travel_whole

    import jobs.curate

    plot = Plot(**json.loads(sys.argv[1]))
    if "--address" in sys.argv:
        travel_whole()
    with plotted(plot, light=sys.argv[2] == "light"):
        return jobs.curate.main(sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
