"""The viewer's panel: a slider over frames, what is shown of each, and why it came out so."""

import threading
import time
from typing import Any

from sphinx_framework.view.folder import Frame, ViewedResult, cameras_of
from sphinx_framework.view.space import NOW, PATH, Space, picture, stand

RESULT, REGRESSION = "result", "regression"


class Panel:
    """Controls of one viewer; all visitors share them."""

    def __init__(self, server: Any, result: ViewedResult, space: Space) -> None:
        """Build the controls and show the first frame."""
        self.server, self.result, self.space = server, result, space
        self.targets = cameras_of(result)
        self._one = threading.Lock()
        gui, last = server.gui, len(result.frames) - 1
        gui.set_panel_label(f"sphinx-nvs: {result.folder.name}")
        self.slider = gui.add_slider(
            "Frame", min=0, max=max(last, 1), step=1, initial_value=0, disabled=last == 0
        )
        self.shown = gui.add_dropdown("In the 3-D view", (RESULT, REGRESSION))
        self.playing = gui.add_checkbox("Play", initial_value=False)
        self.rate = gui.add_slider("Frames a second", min=1, max=24, step=1, initial_value=6)
        look = gui.add_button("Look through this camera")
        self.why = gui.add_markdown("")
        first = result.frames[0]
        self.final = gui.add_image(picture(first.final), label="Result", format="png")
        self.coarse = gui.add_image(picture(first.coarse), label="Regression", format="png")
        with gui.add_folder("Show"):
            for name, handles in (
                ("Photos", space.photos),
                ("Path", space.targets),
                ("Gaussians", space.splats),
            ):
                self._switch(name, handles)
        if result.inputs_note:
            gui.add_markdown(result.inputs_note.capitalize() + ".")
        self.slider.on_update(lambda _: self.show())
        self.shown.on_update(lambda _: self.show())
        look.on_click(self._look)
        server.on_client_connect(self._welcome)
        self.show()

    def show(self) -> None:
        """Show the slider's frame."""
        with self._one:
            index = min(int(self.slider.value), len(self.result.frames) - 1)
            frame = self.result.frames[index]
            final, coarse = picture(frame.final), picture(frame.coarse)
            with self.server.atomic():
                self.final.image, self.coarse.image = final, coarse
                self.why.content = why(frame, self.result.num_steps)
                for other, frustum in enumerate(self.space.targets[: len(self.result.frames)]):
                    now = other == index
                    frustum.color = NOW if now else PATH
                    frustum.scale = (0.6 if now else 0.25) * self.space.size
                    chosen = final if self.shown.value == RESULT else coarse
                    frustum.image = chosen if now else None

    def play(self) -> None:
        """Move the slider for ever while *Play* is on."""
        while True:
            time.sleep(1 / max(1, int(self.rate.value)))
            if self.playing.value:
                self.slider.value = (int(self.slider.value) + 1) % len(self.result.frames)
                self.show()

    def _look(self, event: Any) -> None:
        if event.client is not None:
            stand(event.client.camera, self.targets, int(self.slider.value))

    def _welcome(self, client: Any) -> None:
        client.camera.position, client.camera.look_at = self.space.eye

    def _switch(self, name: str, handles: list[Any]) -> None:
        box = self.server.gui.add_checkbox(name, initial_value=bool(handles), disabled=not handles)

        def switch(_: Any) -> None:
            for handle in handles:
                handle.visible = box.value

        box.on_update(switch)


def why(frame: Frame, num_steps: int) -> str:
    """The report's row in words."""
    row = frame.report
    ratio, start = row.get("ratio"), row.get("start_step")
    lines = [f"**Frame {row.get('index')}**: {row.get('served', 'unknown')}"]
    if row.get("reason"):
        lines.append(str(row["reason"]))
    if isinstance(ratio, float):
        lines.append(f"score ratio of the regression view {ratio:.3f}")
    if isinstance(start, int):
        last = "not denoised" if start >= num_steps else f"start step {start} of {num_steps}"
        lines.append(last)
    if isinstance(row.get("mask_fraction"), float):
        lines.append(f"mask {100 * row['mask_fraction']:.0f} % of the frame")
    if isinstance(row.get("psnr"), float):
        lines.append(f"{row['psnr']:.2f} dB against ground truth")
    return "  \n".join(lines)
