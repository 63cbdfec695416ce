"""Figures of the transient response."""
import numpy as np

from ..ionic_conductivity.figures import BLUE, GREEN, RED
from .estimate import NAMES

COLOURS = {"ttcf": BLUE, "images": GREEN, "alone": RED}


def response(result, figure):
    """sigma(t) at each field by TTCF and by the direct averages."""
    found, times = result.curves["response"], result.curves["times"] / 1000
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    top = max(np.abs(one["ttcf"][0] + one["ttcf"][1]).max() for one in found.values())
    for axis, (text, curves) in zip(panels, found.items()):
        for kind in ("alone", "images", "ttcf"):
            value, error = curves[kind]
            axis.fill_between(times, value - error, value + error, color=COLOURS[kind], alpha=0.2, lw=0)
            axis.plot(times, value, color=COLOURS[kind], label=NAMES[kind])
        axis.axvspan(times[len(times) // 2], times[-1], color="#888888", alpha=0.1, lw=0)
        axis.set_title(f"field {text}", fontsize=10)
        axis.set_xlabel("time after the field came on (ps)")
        axis.set_ylim(-0.6 * top, 1.8 * top)
        axis.set_xlim(0, times[-1])
    panels[0].set_ylabel("conductivity σ(t) (S/m)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9)
    return ("Conductivity σ(t) of the transients at each field: by the transient time correlation function, β⟨J(0)Q(t)⟩/V, by the mean current of all images, ⟨J(t)⟩/(VE), and by that of "
            f"the start points alone; bands are one standard error. The result is the mean over the grey half. {_conditions(result)}")


def errors(result, figure):
    """The error of each estimator against time."""
    found, times = result.curves["response"], result.curves["times"] / 1000
    axis = figure.add_subplot()
    for text, style in zip(found, ("-", "--", ":", "-.")):
        for kind in NAMES:
            axis.plot(times, found[text][kind][1], style, color=COLOURS[kind], label=f"{NAMES[kind]}, {text}")
    axis.set_yscale("log")
    axis.set_xlim(0, None)
    axis.set_xlabel("time after the field came on (ps)")
    axis.set_ylabel("standard error of σ(t) (S/m)")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=8)
    return ("Standard error of σ(t). That of the direct average grows as one over the field; images cancel noise as long as their trajectories stay together; that of TTCF does not "
            f"depend on the field. {_conditions(result)}")


def _conditions(result):
    table, run = result.settings["transients"], result.settings["run"]
    return (f"{run['replicas']} mother systems, {table['daughters']} start points each, {table['temperature']}, time step {table['timestep']}, "
            f"spacing {table['spacing']}.")


PLOTS = (("response", "Response to the field", response, (8.0, 4.2)), ("errors", "Errors of the estimators", errors, (6.4, 4.6)))
