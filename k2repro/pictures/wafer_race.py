"""The token race of notebook 07 as an animation that needs no kernel."""

from collections.abc import Sequence

from k2repro.notebook.slider import with_slider
from k2repro.pictures.style import Picture, Records
from k2repro.wafer.replay.live import Frame, Lane


def race_picture(lanes: Sequence[Lane], frames: Sequence[Frame]) -> Picture:
    """A race of tokens: bars that a slider or the play button moves, without a kernel."""
    names = [lane.name for lane in lanes]
    states = [
        [
            {
                "y": names,
                "x": list(frame.counts),
                "orientation": "h",
                "type": "bar",
                "text": [f"{count:,}" for count in frame.counts],
            }
        ]
        for frame in frames
    ]
    figure = with_slider(states, [f"{frame.seconds:.1f}" for frame in frames], "after ", " s", play=True)
    total = max(lane.times.size for lane in lanes)
    figure.update_xaxes(title="tokens written", range=[0, total * 1.05])
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(title="A token race", height=420, showlegend=False)
    records: Records = [
        {"seconds": frame.seconds} | dict(zip(names, frame.counts, strict=True))
        for frame in frames[:: max(1, len(frames) // 10)]
    ]
    return figure, records
