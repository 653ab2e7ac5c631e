"""`Figure`: a Matplotlib figure that notebooks display without pyplot. Imported when a plot is drawn."""

from matplotlib import figure

from reelated.plot.saving import render


class Figure(figure.Figure):
    """A Matplotlib figure with a PNG representation for notebooks."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the figure as PNG, and its size on the screen at 96 pixels an inch."""
        width, height = self.get_size_inches()
        return render(self, "png")[0], {"width": round(96 * width), "height": round(96 * height)}
