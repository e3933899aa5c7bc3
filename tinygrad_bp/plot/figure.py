"""Where pictures are drawn: the one place that knows matplotlib's module."""

from typing import Any

# Colours that people tell apart who see few (Okabe and Ito, 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442", "#000000")


class Display:
    """What all displays share."""

    ax_: Any
    figure_: Any

    def _axes(self, ax: Any, **subplot: Any) -> Any:
        """Return the axes to draw on, new ones by default, and remember them."""
        ax = new_figure().add_subplot(**subplot) if ax is None else ax
        self.ax_, self.figure_ = ax, ax.figure
        return ax


def new_figure(**settings: Any) -> Any:
    """Return a new figure, of pyplot so that notebooks show it."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        text = "pictures of training need matplotlib: pip install 'tinygrad_bp[plot]'"
        raise ImportError(text) from error
    return pyplot.figure(layout="constrained", **settings)
