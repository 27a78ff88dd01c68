"""Pictures of nets and data, drawn by Matplotlib.

Each function draws into the axes that it is given, or into a new figure, and returns the axes:
``bp.plot.images(x[:16]).figure.savefig("x.png")``. In a notebook the figure shows by itself.
"""

from __future__ import annotations

from pybp.plot.curves import history
from pybp.plot.pictures import feature_maps, filters, images, most_wrong

__all__ = ["feature_maps", "filters", "history", "images", "most_wrong"]
