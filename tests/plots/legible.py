"""Whether a drawn figure can be read: nothing on top of anything else, nothing cut off."""


def apart(boxes, figure):
    """Each box lies within the figure, and no two overlap."""
    for number, box in enumerate(boxes):
        assert 0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert 0 <= box.y0 <= box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:number])


def tick_labels_apart(ax):
    """No two labels of an axis overlap; those of ticks beyond its limits are not drawn."""
    for number, (axis, limits) in enumerate(((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim()))):
        labels = [
            label for label in axis.get_ticklabels() if min(limits) <= label.get_position()[number] <= max(limits)
        ]
        apart([label.get_window_extent() for label in labels], ax.figure)
